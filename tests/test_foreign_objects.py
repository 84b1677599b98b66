"""Objects of readers of others go through the steps as they are, and keep their own names and geometry."""

from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd
from foreign_objects import MAKES, SLIDES, XY, red_at_spots
from small_cohorts import FAST

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort

WALKED = ("Visium HD, squares", "Xenium, labels and polygons", "AnnData", "LazySlide", "sopa")
"""In the quick tests; the others differ in what the tests below and those of drawings look at."""


def whole(pixels: np.ndarray, *_) -> np.ndarray:
    return np.ones(pixels.shape[:2], dtype=bool)


@pytest.mark.filterwarnings("ignore:.*(no background was found|stands for its H&E image)")
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in WALKED else pytest.mark.slow) for n in MAKES])
def test_every_step_takes_it_as_it_is(name, tmp_path):
    make, table = MAKES[name]
    make().write(tmp_path / "cohort.zarr")
    sdata, key = sd.read_zarr(tmp_path / "cohort.zarr"), {"table_key": table}
    before = {slide: shapes.geometry.copy() for slide, shapes in sdata.shapes.items()}
    said = dict(sdata[table].uns["spatialdata_attrs"])
    sh.pp.mask_background(sdata, method=whole, **key)
    sh.pp.realign(sdata, **key)
    sh.pp.filter_spots(sdata, **key)
    sh.pp.log_normalize(sdata, **key)
    sh.pp.spot_distances(sdata, **key)
    cv = sh.tl.cross_validate(sdata, models="ridge", genes=6, groups="slide", out=tmp_path / "run", **FAST, **key)
    sh.tl.predict(sdata, cv, encoder=FAST["encoder"], progress=False, **key)
    sh.pp.pool_spots(sdata, ("pitch", 3), **key)
    sh.io.save(sdata)
    again = sd.read_zarr(tmp_path / "cohort.zarr")
    assert again[table].uns["spatialdata_attrs"] == said
    np.testing.assert_array_equal(again[table].layers["predicted"], again[table].layers["oof"])
    assert all(again.shapes[slide].geometry.geom_equals(held).all() for slide, held in before.items())
    scores = sh.tl.summarize(sh.tl.evaluate(again, **key))
    assert scores.loc["ridge", "mean"] > scores.loc["baseline_position", "mean"] + 0.2
    assert again["pooled"].X.sum() == again[table].X.sum()


@pytest.mark.filterwarnings("ignore:.*stands for its H&E image")
@pytest.mark.parametrize(
    ("name", "spacing", "diameter", "mpp"),
    [
        ("Visium HD, squares", 20, np.sqrt(400 * 4 / np.pi), 8 / 20),
        ("Visium HD, circles by name", 20, 20, 8 / 20),
        ("Xenium, circles", 80, 10 / 0.2125, None),
        ("Xenium, polygons", 80, 10 / 0.2125, None),
        ("AnnData", 100, 55, None),
        ("several slides in one system", 20, 11, None),
        ("Visium", 20, 11, None),
        ("Space Ranger cells", 20, 12, None),
        ("Xenium, labels", 80, np.sqrt(4 * 1200 / np.pi), 0.2125),
        ("Xenium, labels and polygons", 80, np.sqrt(4 * 1200 / np.pi), 0.2125),
        ("LazySlide", 20, np.sqrt(4 * 256 / np.pi), None),
        ("sopa", 40, 18, 0.1),
    ],
)
def test_sizes_are_those_of_the_shapes(name, spacing, diameter, mpp):
    make, table = MAKES[name]
    sdata = make()
    for slide in open_cohort(sdata, table_key=table).every_slide():
        assert slide.scale.pitch_px == pytest.approx(spacing)
        assert slide.spot_diameter_px == pytest.approx(diameter, rel=5e-3)
        assert slide.scale.mpp == (None if mpp is None else pytest.approx(mpp))


@pytest.mark.filterwarnings("ignore:.*stands for its H&E image")
@pytest.mark.parametrize("name", MAKES)
def test_spots_lie_on_their_own_image_and_squidpy_finds_them(name):
    """The red under every spot is what its counts were drawn from, on an image of the right slide."""
    make, key = MAKES[name]
    sdata = make()
    cohort = open_cohort(sdata, table_key=key)
    images = [slide.full_image for slide in cohort.every_slide()]
    assert len(set(images)) == len(SLIDES)
    for slide in cohort.every_slide():
        np.testing.assert_allclose(slide.centers(), XY, atol=1e-6)
        np.testing.assert_allclose(sdata[key].obsm["spatial"][slide.rows], slide.xy, atol=1e-6)
        assert np.corrcoef(red_at_spots(slide), sdata[key].X[slide.rows].toarray()[:, 7])[0, 1] > 0.5
