from __future__ import annotations

import numpy as np
import pytest
from spatialdata.models import Image2DModel
from spatialdata.transformations import Affine, Scale, set_transformation
from tests._sdata.conftest import XY, gradient

from spatialhist._sdata.adopt import adopt
from spatialhist._sdata.cohort import open_cohort


def strip(sdata) -> None:
    """Take away what spatialdata-io does not write."""
    sdata.attrs.clear()
    del sdata["table"].uns["spatial"]


def test_scale_and_thumbnail_are_filled_in(slide_of_five):
    strip(slide_of_five)
    open_cohort(slide_of_five)
    info = slide_of_five.attrs["spatialhist"]["slides"]["S1"]
    assert info == {"pitch_px": 200.0, "spot_diameter_px": pytest.approx(110), "mpp": None}
    entry = slide_of_five["table"].uns["spatial"]["S1"]
    assert entry["images"]["hires"].shape == (350, 550, 3)
    assert entry["scalefactors"] == {"spot_diameter_fullres": pytest.approx(110), "tissue_hires_scalef": 0.5}


def test_space_ranger_metadata_gives_mpp(slide_of_five):
    strip(slide_of_five)
    slide_of_five["table"].uns["spatial"] = {"S1": {"metadata": {"chemistry_description": "Visium V1"}}}
    open_cohort(slide_of_five)
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["mpp"] == 0.5


def test_pitch_from_array_numbers_holds_for_scattered_spots(slide_of_five):
    strip(slide_of_five)
    obs = slide_of_five["table"].obs
    obs["array_col"], obs["array_row"] = XY[:, 0] / 50, XY[:, 1] / 50
    open_cohort(slide_of_five)
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["pitch_px"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("entry", "mpp"),
    [
        ({"metadata": {"chemistry_description": "Visium HD v1"}}, None),
        ({"metadata": {"chemistry_description": np.array([b"Spatial 3' v1"])}}, 0.5),
        ({"metadata": {"chemistry_description": np.array([])}}, None),
        ({"metadata": {"chemistry_description": np.array([b""])}}, None),
        ({"scalefactors": {"microns_per_pixel": 0.27}}, 0.27),
        ({}, None),
    ],
)
def test_only_spots_of_visium_are_a_hundred_micrometers_apart(slide_of_five, entry, mpp):
    strip(slide_of_five)
    slide_of_five["table"].uns["spatial"] = {"S1": entry}
    open_cohort(slide_of_five)
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["mpp"] == mpp


def test_numbers_of_the_array_may_be_text(slide_of_five):
    strip(slide_of_five)
    obs = slide_of_five["table"].obs
    obs["array_col"], obs["array_row"] = (XY[:, i].astype(int).astype(str) for i in (0, 1))
    open_cohort(slide_of_five)
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["pitch_px"] == pytest.approx(100)


def test_pitch_of_one_array_row_is_that_of_the_lattice(slide_of_five):
    strip(slide_of_five)
    slide_of_five["table"].obs["array_col"], slide_of_five["table"].obs["array_row"] = range(5), 1
    open_cohort(slide_of_five)
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["pitch_px"] == 200


def test_centers_are_filled_in_for_one_slide_after_the_other(two_slides):
    table = two_slides["table"]
    del table.obsm["spatial"]
    adopt(two_slides, table, "S2")
    assert np.isnan(table.obsm["spatial"][:5]).all()
    np.testing.assert_array_equal(table.obsm["spatial"][5:], XY)


def test_centers_of_every_slide_are_filled_in(two_slides):
    del two_slides["table"].obsm["spatial"]
    open_cohort(two_slides)
    np.testing.assert_array_equal(two_slides["table"].obsm["spatial"], np.concatenate([XY, XY]))


def test_centers_in_micrometers_are_put_into_pixels(slide_of_five):
    strip(slide_of_five)
    table = slide_of_five["table"]
    table.obsm["spatial"] = np.column_stack([XY * 0.2125, np.arange(5)])
    open_cohort(slide_of_five)
    np.testing.assert_array_equal(table.obsm["spatial"], np.column_stack([XY, np.arange(5)]))


def test_what_is_there_stays(slide_of_five):
    entry = slide_of_five["table"].uns["spatial"]["S1"]
    entry["images"]["hires"] = thumbnail = np.zeros((2, 3, 3), dtype=np.uint8)
    slide_of_five.attrs["spatialhist"]["slides"]["S1"]["mpp"] = 0.25
    open_cohort(slide_of_five)
    assert entry["images"]["hires"] is thumbnail
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["mpp"] == 0.25


def test_small_image_of_space_ranger_is_the_thumbnail_without_a_full_one(slide_of_five):
    strip(slide_of_five)
    del slide_of_five.images["S1_full_image"]
    small = np.concatenate([gradient(70, 110), np.full((1, 70, 110), 255, np.uint8)])
    slide_of_five.images["S1_hires_image"] = Image2DModel.parse(
        small, dims=("c", "y", "x"), transformations={"S1": Scale([10, 10], ("x", "y"))}
    )
    open_cohort(slide_of_five)
    entry = slide_of_five["table"].uns["spatial"]["S1"]
    assert entry["images"]["hires"].shape == (70, 110, 3)
    assert entry["scalefactors"]["tissue_hires_scalef"] == pytest.approx(0.1)


def test_slide_without_any_image_gets_the_spot_size(slide_of_five):
    strip(slide_of_five)
    del slide_of_five.images["S1_full_image"]
    open_cohort(slide_of_five)
    assert set(slide_of_five["table"].uns["spatial"]["S1"]) == {"scalefactors"}


def test_spots_must_be_circles(slide_of_five):
    strip(slide_of_five)
    del slide_of_five.shapes["S1"]["radius"]
    with pytest.raises(ValueError, match="shapes 'S1' have no radius"):
        open_cohort(slide_of_five)


def test_thumbnail_of_an_image_that_lies_turned_in_the_system_of_the_slide(slide_of_five):
    """Squidpy draws spots and thumbnail in the coordinates of the slide."""
    strip(slide_of_five)
    turned = Affine([[0, -1, 1500], [1, 0, 0], [0, 0, 1]], ("x", "y"), ("x", "y"))
    set_transformation(slide_of_five.images["S1_full_image"], turned, "S1")
    with pytest.warns(UserWarning, match="spots of slide 'S1' lie outside"):
        open_cohort(slide_of_five)
    entry = slide_of_five["table"].uns["spatial"]["S1"]
    picture, factor = entry["images"]["hires"], entry["scalefactors"]["tissue_hires_scalef"]
    pixels = np.asarray(slide_of_five.images["S1_full_image"]["scale0"]["image"])
    for x, y in [(300, 500), (900, 200)]:
        column, row = np.array([1500 - y, x]) * factor
        np.testing.assert_allclose(picture[int(row), int(column)], pixels[:, y, x], atol=4)
