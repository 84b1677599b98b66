from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import spatialdata as sd
from spatialdata.models import Image2DModel
from spatialdata.transformations import Identity, Translation, get_transformation
from tests._sdata.conftest import gradient

from spatialhist._sdata.images import (
    add_image,
    add_mask,
    affine,
    image_key,
    pyramid,
    read_level,
    read_overview,
    tissue_mask,
)


@pytest.fixture
def stored(slide_of_five, tmp_path):
    slide_of_five.write(tmp_path / "slide.zarr")
    return sd.read_zarr(tmp_path / "slide.zarr")


def test_image_key_resolves_short_names(slide_of_five):
    for image in (None, "full", "{slide}_full_image", "S1_full_image"):
        assert image_key(slide_of_five, "S1", image) == "S1_full_image"
    slide_of_five.images["S1_full_image_normalized"] = slide_of_five.images["S1_full_image"]
    assert image_key(slide_of_five, "S1", "normalized") == "S1_full_image_normalized"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("normalized", r"found \['S1_full_image'\]: make it with sh.pp.normalize_stain"),
        ("masked", "make it with sh.pp.mask_background"),
        ("other", r"no image 'other'.*choose one with image="),
    ],
)
def test_image_key_says_how_to_get_a_missing_image(slide_of_five, image, message):
    with pytest.raises(KeyError, match=message):
        image_key(slide_of_five, "S1", image)


def test_image_key_offers_the_small_image(slide_of_five):
    slide_of_five.images["S1_hires_image"] = slide_of_five.images.pop("S1_full_image")
    with pytest.raises(KeyError, match="or let the small one stand for it") as said:
        image_key(slide_of_five, "S1")
    exec(str(said.value).split("stand for it, ")[1].rstrip("\"'"), {"sdata": slide_of_five})
    assert image_key(slide_of_five, "S1") == "S1_full_image"


def test_pyramid_of_an_image_in_memory(slide_of_five):
    pyr = pyramid(slide_of_five, "S1_full_image")
    assert (pyr.width, pyr.height) == (1101, 700)
    assert [level.shape for level in pyr.levels] == [(3, 700, 1101), (3, 350, 550), (3, 175, 275)]
    assert pyr.factors == ((1, 1), (2, 2), (4, 4))
    assert pyr.stored is None


def test_pyramid_of_a_stored_image_names_its_arrays(stored):
    pyr = pyramid(stored, "S1_full_image")
    assert [z.shape for z in pyr.stored] == [level.shape for level in pyr.levels]
    assert all(z.chunks[0] == 3 for z in pyr.stored)
    np.testing.assert_array_equal(pyr.stored[0][:], gradient())


def test_recomputed_image_is_not_taken_for_the_stored_one(stored):
    image = stored.images["S1_full_image"]
    image["scale0"]["image"].data = image["scale0"]["image"].data + np.uint8(1)
    assert pyramid(stored, "S1_full_image").stored is None


@pytest.mark.parametrize(("factor", "level"), [(0.5, 0), (1, 0), (1.99, 0), (2, 1), (3.9, 1), (4, 2), (100, 2)])
def test_level_for_never_loses_resolution(slide_of_five, factor, level):
    assert pyramid(slide_of_five, "S1_full_image").level_for(factor) == level


def test_read_level_shows_x_in_red(slide_of_five):
    pixels = read_level(pyramid(slide_of_five, "S1_full_image"), 1)
    assert pixels.shape == (350, 550, 3)
    assert pixels[0, 500].tolist() == [1000 // 8, 0, 7]
    assert pixels[300, 0].tolist() == [0, 600 // 8, 7]


@pytest.mark.parametrize(("max_px", "shape", "factor"), [(600, (350, 550), 2), (300, (175, 275), 4)])
def test_overview_is_the_finest_level_that_fits(slide_of_five, max_px, shape, factor):
    pixels, factors = read_overview(pyramid(slide_of_five, "S1_full_image"), max_px)
    assert pixels.shape == (*shape, 3)
    assert factors == (factor, factor)


def test_overview_shrinks_the_coarsest_level(slide_of_five):
    pixels, (x, y) = read_overview(pyramid(slide_of_five, "S1_full_image"), 100)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (64, 100, 3)
    assert (x, y) == (1096 / 100, 696 / 64)  # level 2, shrunk by whole blocks of two
    assert abs(int(pixels[32, 50, 0]) - 50.5 * x / 8) < 2
    assert abs(int(pixels[32, 50, 1]) - 32.5 * y / 8) < 2


def test_overview_of_a_large_level_is_averaged_by_blocks(slide_of_five):
    full = pyramid(slide_of_five, "S1_full_image")
    large = replace(full, levels=full.levels[:1], factors=full.factors[:1])
    pixels, (x, y) = read_overview(large, 100)
    trimmed = read_level(large, 0)[: 700 // 11 * 11, : 1101 // 11 * 11]
    means = trimmed.reshape(63, 11, 100, 11, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels, means, atol=0.51)
    assert (x, y) == (11.0, 11.0)


def test_affine_of_a_slide_the_element_is_not_in(slide_of_five):
    with pytest.raises(ValueError, match=r"coordinate systems \['S1'\], not in 'S2'"):
        affine(slide_of_five.shapes["S1"], "S2")


def test_add_image_keeps_pyramid_channels_and_placement(slide_of_five):
    data = da.from_array(255 - gradient(), chunks=(3, 256, 256))
    add_image(slide_of_five, "S1_full_image_normalized", data, like="S1_full_image")
    added = pyramid(slide_of_five, "S1_full_image_normalized")
    like = pyramid(slide_of_five, "S1_full_image")
    assert [level.shape for level in added.levels] == [level.shape for level in like.levels]
    element = slide_of_five.images["S1_full_image_normalized"]
    assert sd.models.get_channel_names(element) == ["r", "g", "b"]
    assert list(get_transformation(element, get_all=True)) == ["S1"]
    np.testing.assert_array_equal(read_level(added, 0), 255 - read_level(like, 0))


def test_mask_covers_a_shifted_image(slide_of_five):
    slide_of_five.images["S1_full_image"] = Image2DModel.parse(
        gradient(),
        dims=("c", "y", "x"),
        c_coords=["r", "g", "b"],
        transformations={"S1": Translation([5, 9], ("x", "y"))},
    )
    mask = np.zeros((175, 275), dtype=bool)
    mask[100, 200] = True
    add_mask(slide_of_five, mask, image="S1_full_image")
    read, factors = tissue_mask(slide_of_five, "S1")
    np.testing.assert_array_equal(read, mask)
    assert factors == (4, 4)
    expected = [[4, 0, 5], [0, 4, 9], [0, 0, 1]]
    np.testing.assert_allclose(affine(slide_of_five.labels["S1_full_image_tissue"], "S1"), expected)


def test_missing_mask_names_the_call(slide_of_five):
    with pytest.raises(KeyError, match="no tissue mask 'S1_full_image_tissue': make it with sh.pp.mask_background"):
        tissue_mask(slide_of_five, "S1")


def test_single_scale_image_is_a_pyramid_of_one(slide_of_five):
    slide_of_five.images["S1_small"] = Image2DModel.parse(
        gradient(30, 41), dims=("c", "y", "x"), transformations={"S1": Identity()}
    )
    pyr = pyramid(slide_of_five, "S1_small")
    assert [level.shape for level in pyr.levels] == [(3, 30, 41)]
    assert pyr.level_for(9) == 0
