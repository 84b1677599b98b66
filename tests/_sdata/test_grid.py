from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd
from spatialdata.transformations import Affine, set_transformation

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort, open_images
from spatialhist._sdata.geometry import spot_centers
from spatialhist._sdata.grid import add_grid
from spatialhist._sdata.images import affine
from spatialhist._sdata.scale import Scale

POINTS = np.array([[10.0, 30.0], [50.0, 90.0], [400.0, 20.0]])
SCALE = Scale(mpp=0.5, pitch_px=44.0, spot_diameter_px=20.0)


def add(sdata, points=POINTS):
    return add_grid(open_images(sdata), "S1", points, within="tissue", genes=["X", "Y"], scale=SCALE)


def test_a_grid_is_a_slide_like_any_other(slide_of_five):
    table = add(slide_of_five)
    assert slide_of_five["S1_grid_table"] is table
    cohort = open_cohort(slide_of_five, table_key="S1_grid_table")
    assert cohort.slides == ["S1_grid"]
    assert cohort.slide("S1_grid").patient == "P1"
    assert not cohort.measured().any()
    assert not cohort.slide("S1_grid").genes_measured.any()
    np.testing.assert_array_equal(spot_centers(slide_of_five, table, "S1_grid"), POINTS)
    hires = table.uns["spatial"]["S1_grid"]
    assert hires["scalefactors"]["spot_diameter_fullres"] == 20
    np.testing.assert_array_equal(
        hires["images"]["hires"], slide_of_five["table"].uns["spatial"]["S1"]["images"]["hires"]
    )
    assert len(slide_of_five["table"]) == 5


def test_points_of_a_moved_image_lie_in_the_slide(slide_of_five):
    matrix = np.array([[2.0, 0, 7], [0, 2, -3], [0, 0, 1]])
    set_transformation(slide_of_five["S1_full_image"], Affine(matrix, ("x", "y"), ("x", "y")), "S1")
    table = add(slide_of_five)
    np.testing.assert_array_equal(table.obsm["spatial"], POINTS * 2 + [7, -3])
    np.testing.assert_array_equal(affine(slide_of_five.shapes["S1_grid"], "S1"), np.eye(3))


def test_a_second_grid_takes_the_place_of_the_first(slide_of_five):
    add(slide_of_five)
    with pytest.warns(UserWarning, match="'S1_grid_table' is replaced by one of 2 spots"):
        add(slide_of_five, POINTS[:2])
    assert len(slide_of_five["S1_grid_table"]) == len(slide_of_five.shapes["S1_grid"]) == 2


def test_the_same_grid_goes_on(slide_of_five, recwarn):
    first = add(slide_of_five)
    first.layers["mine"] = np.ones(first.shape)
    assert "mine" in add(slide_of_five).layers
    assert not [w for w in recwarn if w.category is UserWarning]


def test_a_grid_is_saved(slide_of_five, tmp_path):
    slide_of_five.write(tmp_path / "s.zarr")
    add(slide_of_five)
    sh.pp.save(slide_of_five)
    add(slide_of_five, POINTS[:2])
    sh.pp.save(slide_of_five)
    again = sd.read_zarr(tmp_path / "s.zarr")
    assert len(again["S1_grid_table"]) == len(again.shapes["S1_grid"]) == 2
