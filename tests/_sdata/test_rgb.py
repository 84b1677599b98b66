"""Images that others put into an object are read as RGB of 8 bits, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from spatialdata.models import Image2DModel
from spatialdata.transformations import Identity
from tests._sdata.conftest import HEIGHT, WIDTH, gradient

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_level
from spatialhist._sdata.rgb import filled_bits

RGB = np.stack([gradient()[0], gradient()[1], 255 - gradient()[0]])
GRAY = np.stack([RGB[2]] * 3)


def replaced(sdata, pixels, names=None, scale_factors=(2,)):
    sdata.images["S1_full_image"] = Image2DModel.parse(
        pixels,
        dims=("c", "y", "x"),
        c_coords=names,
        scale_factors=list(scale_factors),
        transformations={"S1": Identity()},
    )
    return sdata


def with_fourth(value):
    return np.concatenate([RGB, np.full((1, HEIGHT, WIDTH), value, np.uint8)])


KINDS = {
    "as it is": (RGB, None, RGB),
    "named": (RGB[::-1], ["b", "g", "r"], RGB),
    "named in words": (RGB[[1, 2, 0]], ["Green", "Blue", "Red"], RGB),
    "among others": (with_fourth(9)[[3, 2, 1, 0]], ["mask", "b", "g", "r"], RGB),
    "gray": (RGB[2:], None, GRAY),
    "opaque": (with_fourth(255), None, RGB),
    "alpha": (with_fourth(0), ["r", "g", "b", "a"], RGB),
    "a fourth channel of nothing": (with_fourth(0), None, RGB),
    "half transparent": (with_fourth(51), ["r", "g", "b", "a"], np.rint(RGB * 0.2 + 255 * 0.8)),
    "floats": ((RGB / 255).astype(np.float32), None, RGB),
    "16 bits": (RGB.astype(np.uint16) * 257, None, RGB),
    "12 of 16 bits": (np.rint(RGB * (4095 / 255)).astype(np.uint16), None, RGB),
    "whole numbers": (RGB.astype(np.int64), None, RGB),
    "unsigned": (RGB.astype(np.uint32), None, RGB),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(slide_of_five, kind):
    pixels, names, expected = KINDS[kind]
    pyr = pyramid(replaced(slide_of_five, pixels, names), "S1_full_image")
    found = read_level(pyr, 0)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.moveaxis(found, -1, 0), expected)
    assert pyr.levels[1].shape == (3, HEIGHT // 2, WIDTH // 2)


@pytest.mark.parametrize("kind", ["named", "gray", "16 bits", "floats"])
def test_tiles_masks_and_stains_see_the_same(slide_of_five, kind):
    pixels, names, expected = KINDS[kind]
    plain = replaced(sh.io.from_arrays(expected.astype(np.uint8), [[300, 200], [700, 400]], [[1], [2]]), expected, None)
    other = replaced(sh.io.from_arrays(expected.astype(np.uint8), [[300, 200], [700, 400]], [[1], [2]]), pixels, names)
    tiles = []
    for sdata in (plain, other):
        sh.pp.mask_background(sdata)
        ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(("px", 40), 40))
        tiles.append((np.asarray(ds[1]["tile"]), np.asarray(sdata.labels["S1_full_image_tissue"])))
    np.testing.assert_array_equal(tiles[0][0], tiles[1][0])
    np.testing.assert_array_equal(tiles[0][1], tiles[1][1])


@pytest.mark.parametrize(
    ("pixels", "names", "message"),
    [
        (RGB, ["DAPI", "CD45", "panCK"], "has the channels 'DAPI', 'CD45', 'panCK': want red, green and blue"),
        (RGB[:2], None, "has 2 channels, of which nothing tells red, green and blue"),
        (np.concatenate([RGB, RGB]), None, "has 6 channels"),
        (RGB.astype(np.float32), None, "holds floats from 0.0 to .*: want"),
        (RGB.astype(np.int16) - 300, None, "holds int16 from -300 to"),
        (RGB > 9, None, "holds bool: want uint8"),
    ],
)
def test_others_are_refused_by_name(slide_of_five, pixels, names, message):
    with pytest.raises(ValueError, match=f"image 'S1_full_image' {message}"):
        sh.pp.mask_background(replaced(slide_of_five, pixels, names))


@pytest.mark.parametrize(("highest", "bits"), [(255, 8), (256, 10), (1023, 10), (4095, 12), (4096, 14), (60_000, 16)])
def test_bits_in_use(highest, bits):
    assert filled_bits(highest) == bits
