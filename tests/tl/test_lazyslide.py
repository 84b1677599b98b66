from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl._data.samples import Samples, standardize

ALONE = FAST | {"context": ()}
"""Tiles without context."""


@runtime_checkable
class Published(Protocol):
    """``lazyslide_models.base.FeaturePredictionModelProtocol`` of LazySlide 0.13."""

    model: Any
    name: str

    def get_transform(self) -> Callable | None: ...

    def to(self, device): ...

    def try_compile(self, **compile_kws: Any): ...

    def predict(self, features, coords=None, *args, **kwargs) -> dict[str, Any]: ...


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two fields of view of six features, no context."""
    out = tmp_path_factory.mktemp("lazyslide") / "m"
    return sh.tl.fit(draw_cohort(1, n_slides=2, signal=0.8), models="ridge", genes=4, out=out, **ALONE)


def draw_features(n=50):
    return np.random.default_rng(3).uniform(0, 200, (n, 12)).astype(np.float32)


def test_the_published_protocol_is_satisfied(trained):
    model = sh.tl.LazySlideModel(trained, name="mine")
    assert isinstance(model, Published)
    assert (model.name, model.needs_coords, model.whole_slide) == ("mine", False, True)
    assert model.get_transform() is None
    assert model.to("cpu") is model
    assert model.try_compile() is None


def test_genes_are_predicted_from_features_relative_to_the_slide(trained):
    features = draw_features()
    found = sh.tl.LazySlideModel(trained).predict(features)
    blocks = (features[:, :6], features[:, 6:])
    n = len(features)
    samples = Samples(
        *(np.full(n, ""),) * 3,
        position=np.zeros((n, 2)),
        features=blocks,
        standardized=tuple(standardize(b, b.mean(axis=0), b.std(axis=0)) for b in blocks),
    )
    expected = trained.predict(samples)
    assert list(found) == trained.genes
    np.testing.assert_array_equal(np.column_stack(list(found.values())), expected)


def test_a_slide_may_be_moved_and_scaled_in_feature_space(trained):
    model, features = sh.tl.LazySlideModel(trained), draw_features()
    found, moved = model.predict(features), model.predict(features * 2 + 7)
    for gene in trained.genes:
        np.testing.assert_allclose(found[gene], moved[gene], rtol=1e-3, atol=1e-4)


def test_the_encoder_is_named(trained, monkeypatch):
    model = sh.tl.LazySlideModel(trained)
    assert model.features_model_name is None
    monkeypatch.setattr(type(model.model.manifest), "encoder", property(lambda manifest: "lazyslide:uni"))
    assert model.features_model_name == "uni"


def test_refused(trained, tmp_path):
    with pytest.raises(ValueError, match=r"features are \(50, 11\): the model takes \(tiles, 12\)"):
        sh.tl.LazySlideModel(trained).predict(draw_features()[:, :11])
    cohort = draw_cohort(1, n_slides=2)
    network = sh.tl.TileNetwork(epochs=1, width=8)
    pixels = sh.tl.fit(cohort, models=network, genes=2, out=tmp_path / "n", **ALONE)
    with pytest.raises(ValueError, match="a model that looks at pixels"):
        sh.tl.LazySlideModel(pixels)
    options = FAST | {"context": [("px", 40.0)]}
    around = sh.tl.fit(cohort, models="ridge", genes=2, out=tmp_path / "c", **options)
    with pytest.raises(ValueError, match=r"context=\(\)"):
        sh.tl.LazySlideModel(around)


class SmallModel:
    """An encoder as LazySlide registers them: mean color of the middle of a tile."""

    name = "small"

    def __init__(self):
        import torch

        self.model = torch.nn.AvgPool2d(8)

    def get_transform(self):
        return lambda tile: tile[:, 8:16, 8:16].float()

    def encode_image(self, image, *args, **kwargs):
        return self.model(image).flatten(1)


@pytest.fixture
def registry(monkeypatch):
    models = pytest.importorskip("lazyslide_models", reason="LazySlide is not installed")
    monkeypatch.setitem(models.MODEL_REGISTRY, "small", SmallModel)


def make_wsi(sdata, features):
    """A slide of LazySlide with tiles, and a table of their features."""
    wsidata = pytest.importorskip("wsidata", reason="wsidata is not installed")
    import geopandas as gpd
    import shapely
    from spatialdata.models import ShapesModel
    from wsidata.io import add_features

    wsi = wsidata.open_wsi(sdata, image_key="S1_full_image")
    x, y = np.arange(len(features)) % 10 * 16.0, np.arange(len(features)) // 10 * 16.0
    wsi.shapes["tiles"] = ShapesModel.parse(gpd.GeoDataFrame(geometry=shapely.box(x, y, x + 16, y + 16)))
    add_features(wsi, key="small", tile_key="tiles", features=features)
    return wsi


def test_the_installed_lazyslide_takes_a_trained_model(trained, tmp_path):
    lazyslide = pytest.importorskip("lazyslide", reason="LazySlide is not installed")
    from lazyslide_models.base import FeaturePredictionModelProtocol

    model = sh.tl.LazySlideModel(trained)
    assert isinstance(model, FeaturePredictionModelProtocol)
    sdata = draw_cohort(5, n_slides=1)
    sdata.write(tmp_path / "s.zarr")
    wsi = make_wsi(sh.io.read(tmp_path / "s.zarr"), draw_features())
    lazyslide.tl.feature_prediction(wsi, model, feature_key="small", device="cpu", batch_size=7, pbar=False)
    table = wsi.tables["spatialhist_tiles"]
    assert list(table.var_names) == trained.genes
    expected = model.predict(draw_features())
    np.testing.assert_allclose(table.X, np.column_stack(list(expected.values())), rtol=1e-6)


def test_an_encoder_of_the_installed_registry_is_trained_on(registry, tmp_path):
    options = ALONE | {"encoder": "lazyslide:small", "extents": [("px", 40.0)], "pixels": 24}
    cohort = draw_cohort(1, n_slides=2, signal=0.8)
    trained = sh.tl.fit(cohort, models="ridge", genes=4, out=tmp_path / "m", **options)
    model = sh.tl.LazySlideModel(trained)
    assert model.features_model_name == "small"
    assert list(model.predict(draw_features()[:, :3])) == trained.genes
