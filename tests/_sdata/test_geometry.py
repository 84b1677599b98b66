from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spatialdata.transformations import Affine, Identity, get_transformation, set_transformation
from tests._sdata.conftest import XY

from spatialhist._sdata.alignment import alignment, refresh_centers, set_alignment
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.geometry import apply, spot_centers, spot_pixels
from spatialhist._sdata.images import affine
from spatialhist._sdata.scale import Scale, scale, slide_info

TURN = np.array([[0.0, -1.0, 60.0], [1.0, 0.0, 5.0], [0.0, 0.0, 1.0]])
SHIFT = np.array([[1.0, 0.0, 30.0], [0.0, 1.0, -7.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(("extent", "px"), [(("px", 224), 224.0), (("um", 150.0), 300.0), (("pitch", 3.0), 600.0)])
def test_length_in_pixels(extent, px):
    assert Scale(mpp=0.5, pitch_px=200.0, spot_diameter_px=110.0).px(extent, "S1") == px


@pytest.mark.parametrize(
    ("extent", "message"),
    [
        (("um", 1.0), r"'S1' has no mpp.*\['mpp'\]"),
        (("pitch", 1.0), "'S1' has a single spot, so its spot spacing is unknown"),
        (("mm", 1.0), "unit='mm'"),
    ],
)
def test_length_that_is_not_known(extent, message):
    with pytest.raises(ValueError, match=message):
        Scale(mpp=None, pitch_px=None, spot_diameter_px=1.0).px(extent, "S1")


def test_diameter_of_a_spot():
    assert Scale(mpp=None, pitch_px=None, spot_diameter_px=55.0).diameter("S1") == 55.0
    with pytest.raises(ValueError, match=r"'S1' has no spots.*\['S1'\]\['spot_diameter_px'\]"):
        Scale(mpp=0.5, pitch_px=100.0, spot_diameter_px=None).diameter("S1")


def test_scale_of_a_slide(slide_of_five):
    slide_info(slide_of_five, "S1")["mpp"] = 0.7
    assert scale(slide_of_five, "S1") == Scale(0.7, 200.0, pytest.approx(110.0))


def test_centers_follow_the_rows_of_the_table(slide_of_five):
    shapes = slide_of_five.shapes["S1"]
    slide_of_five.shapes["S1"] = shapes.iloc[::-1]
    np.testing.assert_array_equal(spot_centers(slide_of_five, slide_of_five["table"], "S1"), XY)


def test_centers_of_lost_spots(slide_of_five):
    table = slide_of_five["table"]
    table.obs["spot_id"] += 2
    with pytest.raises(
        ValueError, match=r"2 spots of slide 'S1' .* shapes: obs\['spot_id'\] holds \[5, 6\], .*\[0, 1, 2\]"
    ):
        spot_centers(slide_of_five, table, "S1")


@pytest.mark.parametrize("kind", [str, "category", "Int64", "string", lambda i: f"{i}".encode()])
def test_one_id_in_two_types(slide_of_five, kind):
    table = slide_of_five["table"]
    ids = table.obs["spot_id"].iloc[::-1]
    table.obs["spot_id"] = (ids.map(kind) if callable(kind) else ids.astype(kind)).to_numpy()
    np.testing.assert_array_equal(spot_centers(slide_of_five, table, "S1"), XY[::-1])


def test_spot_pixels_undo_the_placement_of_the_image(slide_of_five):
    halved = Affine(np.diag([2.0, 2.0, 1.0]), ("x", "y"), ("x", "y"))
    set_transformation(slide_of_five.images["S1_full_image"], halved, "S1")
    pixels = spot_pixels(slide_of_five, slide_of_five["table"], "S1", "S1_full_image")
    np.testing.assert_allclose(pixels, XY / 2)


def test_alignment_moves_spots_and_keeps_geometry(slide_of_five):
    cohort = open_cohort(slide_of_five)
    np.testing.assert_array_equal(alignment(slide_of_five, "S1"), np.eye(3))
    set_alignment(slide_of_five, cohort.table, "S1", TURN)
    moved = np.column_stack([60 - XY[:, 1], XY[:, 0] + 5])
    np.testing.assert_allclose(spot_centers(slide_of_five, cohort.table, "S1"), moved)
    np.testing.assert_allclose(cohort.table.obsm["spatial"], moved)
    np.testing.assert_array_equal(slide_of_five.shapes["S1"].geometry.x, XY[:, 0])
    np.testing.assert_array_equal(alignment(slide_of_five, "S1"), TURN)


def test_alignment_starts_from_the_readers_placement_again(slide_of_five):
    cohort = open_cohort(slide_of_five)
    for matrix in (TURN, SHIFT, SHIFT):
        set_alignment(slide_of_five, cohort.table, "S1", matrix)
    np.testing.assert_allclose(cohort.table.obsm["spatial"], XY + [30, -7])


def test_alignment_reaches_every_coordinate_system(slide_of_five):
    shapes = slide_of_five.shapes["S1"]
    small = Affine(np.diag([0.25, 0.5, 1.0]), ("x", "y"), ("x", "y"))
    set_transformation(shapes, {"S1": Identity(), "small": small}, set_all=True)
    set_alignment(slide_of_five, slide_of_five["table"], "S1", SHIFT)
    assert set(get_transformation(shapes, get_all=True)) == {"S1", "small"}
    np.testing.assert_allclose(apply(affine(shapes, "small"), XY), (XY + [30, -7]) * [0.25, 0.5])


def test_refresh_touches_one_slide(two_slides):
    cohort = open_cohort(two_slides)
    cohort.table.obsm["spatial"] = np.zeros((10, 2))
    refresh_centers(two_slides, cohort.table, "S2")
    np.testing.assert_array_equal(cohort.table.obsm["spatial"], np.vstack([np.zeros((5, 2)), XY]))


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5))
def test_apply_is_undone_by_the_inverse(points):
    xy = np.array(points)
    np.testing.assert_allclose(apply(np.linalg.inv(TURN), apply(TURN, xy)), xy, atol=1e-6)


def squares(shapes):
    """The same spots as squares of 20 pixels, none of them in the order of the table."""
    import geopandas as gpd
    from spatialdata.models import ShapesModel

    boxes = gpd.GeoDataFrame(geometry=shapes.buffer(10, cap_style="square"), index=shapes.index)[::-1]
    return ShapesModel.parse(boxes, transformations=get_transformation(shapes, get_all=True))


def test_the_place_of_a_square_is_its_centroid_and_its_size_that_of_a_circle(slide_of_five):
    slide_of_five.shapes["S1"] = held = squares(slide_of_five.shapes.pop("S1"))
    slide_of_five.attrs.clear()
    slide = open_cohort(slide_of_five).slide("S1")
    np.testing.assert_allclose(slide.xy, XY)
    np.testing.assert_allclose(slide.spot_areas, 400)
    assert slide.spot_diameter_px == pytest.approx(2 * np.sqrt(400 / np.pi))
    assert slide_of_five.shapes["S1"] is held and set(held.geom_type) == {"Polygon"}


def test_areas_are_those_in_pixels_of_the_slide(slide_of_five):
    shapes = slide_of_five.shapes["S1"]
    shapes["radius"] = [1.0, 2.0, 3.0, 4.0, 5.0]
    set_transformation(shapes, Affine([[0, -2, 5], [3, 0, 1], [0, 0, 1]], ("x", "y"), ("x", "y")), "S1")
    np.testing.assert_allclose(open_cohort(slide_of_five).slide("S1").spot_areas, 6 * np.pi * np.arange(1, 6) ** 2)
