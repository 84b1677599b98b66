from __future__ import annotations

import cloudpickle
import numpy as np
from small_cohorts import draw_cohort
from spatialdata.models import Image2DModel
from spatialdata.transformations import Scale

import spatialhist as sh
from spatialhist._sdata.cohort import get_slide
from spatialhist.tiles import TileSpec
from spatialhist.tiles._reading.view import TileView

SPECS = [TileSpec(("um", 60), 16), TileSpec(("px", 40), 8)]


def test_sizes_are_in_pixels_of_the_image():
    sdata = draw_cohort(1, n_slides=1)
    half = np.asarray(sdata.images["S1_full_image"].data)[:, ::2, ::2]
    placed = {"S1": Scale([2.0, 2.0], axes=("x", "y"))}
    sdata.images["S1_small"] = Image2DModel.parse(half, dims=("c", "y", "x"), transformations=placed)
    slide = get_slide(sdata, "S1")
    assert [view.extent_px for view in TileView.of(slide, SPECS, None)] == [30, 40]
    assert [view.extent_px for view in TileView.of(slide, SPECS, "{slide}_small")] == [15, 20]


def test_views_of_a_store_travel_light_and_share_its_pixels(tmp_path):
    sdata = draw_cohort(1, n_slides=1)
    sdata.write(tmp_path / "s.zarr")
    views = TileView.of(get_slide(sh.io.read(tmp_path / "s.zarr"), "S1"), SPECS, None)
    assert views[0].source is views[1].source
    data = cloudpickle.dumps(views)
    assert len(data) < 10_000
    there = cloudpickle.loads(data)
    pixels = there[1].source.read(0, slice(10, 30), slice(5, 20))
    np.testing.assert_array_equal(pixels, np.asarray(sdata.images["S1_full_image"].data)[:, 10:30, 5:20])
