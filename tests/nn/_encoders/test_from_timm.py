import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from spatialhist.nn import get_encoder

CONFIG = {"mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3), "input_size": (3, 10, 12)}


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (4, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def asked(monkeypatch):
    """A timm of one network; what it was asked for, and its configuration."""
    calls = {"config": CONFIG}

    def create_model(name, **options):
        if name != "small":
            raise RuntimeError(f"Unknown model ({name})")
        return calls.update(name=name, **options) or nn.Flatten()

    timm = ModuleType("timm")
    timm.create_model, timm.list_models = create_model, lambda: ["small", "smaller", "big"]
    timm.data = SimpleNamespace(resolve_model_data_config=lambda network: calls["config"])
    monkeypatch.setitem(sys.modules, "timm", timm)
    return calls


def standardized(pixels):
    return (pixels - torch.tensor(CONFIG["mean"])[:, None, None]) / torch.tensor(CONFIG["std"])[:, None, None]


def test_a_network_gets_its_own_preprocessing(asked, tiles):
    encoder = get_encoder("timm:small")
    assert encoder.pixels == 12  # resampled to (10, 12) from squares that are no smaller
    assert {k: asked[k] for k in ("name", "pretrained", "num_classes")} == {
        "name": "small",
        "pretrained": True,
        "num_classes": 0,
    }
    shrunk = nn.functional.interpolate(tiles.float() / 255, (10, 12), mode="bilinear", antialias=True)
    torch.testing.assert_close(encoder(tiles), standardized(shrunk).flatten(1), rtol=0, atol=1e-4)


def test_what_it_crops_is_read_around_its_input(asked, tiles):
    asked["config"] = CONFIG | {"crop_pct": 0.5, "interpolation": "bicubic"}
    encoder = get_encoder("timm:small")
    assert encoder.pixels == 24
    torch.testing.assert_close(encoder(tiles), standardized(tiles[:, :, 5:15, 6:18] / 255).flatten(1))


def test_a_wrong_name_proposes_near_ones(asked):
    with pytest.raises(ValueError, match="timm has no network 'small2': did you mean 'timm:small' or 'timm:smaller'"):
        get_encoder("timm:small2")


def test_random_numbers_of_the_caller_stay_as_they_are(asked):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    get_encoder("timm:small")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18", "convnext_atto"])
def test_the_installed_timm_prepares_tiles_the_same(name):
    """On tiles of the encoder's side, which neither of them resamples."""
    timm = pytest.importorskip("timm", reason="timm is not installed")
    from PIL import Image

    from spatialhist.nn._encoders.from_timm import timm_scaling

    config = timm.data.resolve_model_data_config(timm.create_model(name, pretrained=False))
    scaling, side = timm_scaling(config)
    tiles = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    transform = timm.data.create_transform(**config, is_training=False)
    expected = torch.stack([transform(Image.fromarray(tile.permute(1, 2, 0).numpy())) for tile in tiles])
    torch.testing.assert_close(scaling(tiles), expected, rtol=0, atol=1e-3)
