import gc
import sys
from types import ModuleType, SimpleNamespace

import pytest
from torch import nn

from spatialhist.nn import get_encoder
from spatialhist.nn._encoders.by_name import MADE_HERE
from spatialhist.nn._encoders.catalog import BUILT_IN


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("uni3", "'uni' or 'uni2'"),
        ("Virchow_3", "'virchow' or"),
        ("optimus-1", "'h-optimus-1'"),
        ("phikon-3", "'phikon'"),
    ],
)
def test_a_wrong_name_proposes_near_ones(name, meant):
    with pytest.raises(ValueError, match=rf"'{name}' is unknown: did you mean {meant}.*sh\.nn\.encoders\(\)"):
        get_encoder(name)


@pytest.mark.parametrize("name", ["resnet", "timm:", "hf:", "lazyslide:", ""])
def test_a_name_like_none_is_told_where_names_are(name):
    with pytest.raises(
        ValueError, match=rf"'{name}' is unknown: sh\.nn\.encoders\(\) lists the names, 'color_texture'"
    ):
        get_encoder(name)


def test_what_is_no_encoder_is_refused():
    with pytest.raises(TypeError, match="encoder is a int"):
        get_encoder(3)


@pytest.mark.parametrize(
    ("name", "packages", "advice"),
    [
        ("timm:x", ["timm"], r"'timm:x' needs timm: pip install spatialhist\[encoders\]"),
        ("hf:a/b:cls", ["transformers"], r"'hf:a/b:cls' needs transformers: pip install spatialhist\[encoders\]"),
        ("uni2", ["lazyslide_models", "lazyslide.models"], r"'uni2' needs lazyslide-models: pip install spatialhist\["),
        ("lazyslide:x", ["lazyslide_models", "lazyslide.models"], "needs lazyslide-models"),
        ("efficientnet-lite0", ["efficientnet_lite_pytorch"], "pip install efficientnet-lite-pytorch"),
    ],
)
def test_missing_package_names_what_to_install(monkeypatch, name, packages, advice):
    for missing in packages:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=advice):
        get_encoder(name)


def test_names_that_need_no_download_are_those_of_the_catalog():
    assert set(MADE_HERE) == {entry.name for entry in BUILT_IN}


def test_weights_in_use_are_loaded_once(monkeypatch):
    loaded = []
    timm = ModuleType("timm")
    timm.create_model = lambda name, **options: loaded.append(name) or nn.Flatten()
    config = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 8, 8)}
    timm.data = SimpleNamespace(resolve_model_data_config=lambda network: config)
    monkeypatch.setitem(sys.modules, "timm", timm)
    first = get_encoder("timm:once")
    assert get_encoder("timm:once") is first and loaded == ["once"]
    del first
    gc.collect()
    get_encoder("timm:once")
    assert loaded == ["once", "once"]


def test_those_made_here_go_by_any_spelling():
    assert type(get_encoder("Color-Texture")).__name__ == "ColorTexture"
    with pytest.raises(ValueError, match="did you mean 'uni2' or"):
        get_encoder("UNI2-h")
