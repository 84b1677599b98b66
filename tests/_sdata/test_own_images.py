from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from spatialdata.models import Image2DModel
from spatialdata.transformations import Identity, Scale, Translation, get_transformation, set_transformation
from tests._sdata.conftest import gradient

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort, open_images
from spatialhist._sdata.own_images import candidates, full_image, hires_image, small_images


def rename(sdata, image: str) -> None:
    sdata.images[image] = sdata.images.pop("S1_full_image")


def add(sdata, image: str, *, channels: int = 3, system: str = "S1", names: list[str] | None = None) -> None:
    pixels = da.zeros((channels, 70, 110), dtype=np.uint8)
    placed = {system: Identity()}
    sdata.images[image] = Image2DModel.parse(pixels, dims=("c", "y", "x"), c_coords=names, transformations=placed)


@pytest.mark.parametrize("name", ["he", "hne", "CytAssist_FFPE_tissue_image", "S1_he_image"])
def test_an_image_of_any_name_is_found_by_where_it_lies(slide_of_five, name):
    rename(slide_of_five, name)
    assert full_image(slide_of_five, "S1") == name
    slide = open_cohort(slide_of_five).slide("S1")
    assert slide.image().pyramid.key == name and slide.pixel_hash
    assert slide_of_five.attrs["spatialhist"]["slides"]["S1"]["image"] == name


@pytest.mark.parametrize(
    ("other", "options"),
    [
        ("S1_hires_image", {}),
        ("S1_lowres_image-A", {}),
        ("lowres_tissue_image", {}),
        ("S1_cytassist_image", {}),
        ("he_normalized", {}),
        ("he_masked", {}),
        ("S1_predicted_map", {}),
        ("dapi", {"channels": 1}),
        ("morphology_focus", {"channels": 5}),
        ("morphology", {"channels": 4, "names": ["DAPI", "ATP1A1", "18S", "AlphaSMA"]}),
        ("stains", {"channels": 3, "names": ["DAPI", "CK", "CD3"]}),
        ("elsewhere", {"system": "S9"}),
    ],
)
def test_small_copies_other_stains_and_other_places_are_not_taken(slide_of_five, other, options):
    rename(slide_of_five, "he")
    add(slide_of_five, other, **options)
    assert full_image(slide_of_five, "S1") == "he"


def test_of_several_the_one_that_names_the_slide_is_taken(slide_of_five):
    rename(slide_of_five, "he_S1")
    add(slide_of_five, "he_S2")
    assert full_image(slide_of_five, "S1") == "he_S1"


def test_of_several_none_is_guessed_and_the_advice_helps(slide_of_five):
    rename(slide_of_five, "he")
    slide_of_five.images["he_of_before"] = slide_of_five.images["he"]
    slide = open_cohort(slide_of_five).slide("S1")
    with pytest.raises(KeyError, match=r"\['he', 'he_of_before'\] lie in a coordinate system of its spots") as said:
        slide.image()
    advice = said.value.args[0].split("say which one is its H&E image, ")[1]
    exec(advice, {"sdata": slide_of_five})
    sh.pp.mask_background(slide_of_five, method=lambda pixels, *_: np.ones(pixels.shape[:2], dtype=bool))
    assert set(slide_of_five.labels) == {"he_tissue"}


def test_of_several_in_one_system_the_one_under_the_spots_is_taken(slide_of_five):
    rename(slide_of_five, "img1")
    beside = {"S1": Translation([1200, 0], ("x", "y"))}
    slide_of_five.images["img2"] = Image2DModel.parse(gradient(), dims=("c", "y", "x"), transformations=beside)
    assert full_image(slide_of_five, "S1") == "img1"


def test_a_small_copy_stands_for_the_image_where_there_is_no_other(slide_of_five):
    rename(slide_of_five, "lib_hires")
    add(slide_of_five, "lib_lowres")
    with pytest.warns(UserWarning, match="slide 'S1' has no image but the small copy 'lib_hires'"):
        open_cohort(slide_of_five)
    assert open_cohort(slide_of_five).slide("S1").full_image == "lib_hires"


def test_a_small_copy_stands_back_when_the_image_is_added(slide_of_five):
    full = slide_of_five.images["S1_full_image"]
    rename(slide_of_five, "wsi_thumbnail")
    with pytest.warns(UserWarning, match="small copy 'wsi_thumbnail'"):
        open_cohort(slide_of_five)
    slide_of_five.images["wsi"] = full
    assert open_cohort(slide_of_five).slide("S1").full_image == "wsi"


def test_the_image_of_another_slide_is_not_taken(two_slides):
    for element in (two_slides.shapes["S1"], two_slides.shapes["S2"], two_slides.images["S1_full_image"]):
        set_transformation(element, Identity(), "global")
    del two_slides.images["S2_full_image"]
    assert candidates(two_slides, "S2") == []
    with pytest.raises(KeyError, match="no image 'S2_full_image'"):
        open_cohort(two_slides, "S2").slide("S2").image()


def test_an_image_of_spots_makes_no_slide_of_its_own(slide_of_five):
    rename(slide_of_five, "he")
    slide_of_five.images["other_full_image"] = Image2DModel.parse(
        gradient(70, 110), dims=("c", "y", "x"), transformations={"other": Identity()}
    )
    assert open_images(slide_of_five).slides == ["S1", "other"]
    slide_of_five.attrs["spatialhist"]["slides"]["S1"]["image"] = "other_full_image"
    slide_of_five.images.pop("he")
    assert open_images(slide_of_five).slides == ["S1"]
    assert open_images(slide_of_five, "other").slides == ["other"]


def test_images_are_placed_with_the_spots(slide_of_five):
    """As in objects of Visium HD: the system has the name of the sample, the shapes that of the bins."""
    shapes = slide_of_five.shapes["S1"]
    rename(slide_of_five, "A_full_image")
    add(slide_of_five, "A_hires_image")
    set_transformation(slide_of_five.images["A_hires_image"], {"A": Scale([10, 10], ("x", "y"))}, set_all=True)
    for element in (shapes, slide_of_five.images["A_full_image"]):
        set_transformation(element, {"A": Identity()}, set_all=True)
    open_cohort(slide_of_five)
    assert (full_image(slide_of_five, "S1"), hires_image(slide_of_five, "S1")) == ("A_full_image", "A_hires_image")
    assert small_images(slide_of_five, "S1") == ["A_hires_image"]
    for key in ("A_full_image", "A_hires_image"):
        assert set(get_transformation(slide_of_five.images[key], get_all=True)) == {"A", "S1"}
