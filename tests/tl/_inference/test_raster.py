from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._inference.raster import CELL, Raster


@pytest.fixture
def mask():
    """Tissue of 90 x 140 pixels of the mask, two image pixels high and three wide each."""
    return np.random.default_rng(0).random((90, 140)) > 0.4


@pytest.mark.parametrize("step", [2.0, 5.5, 13.0])
def test_a_pixel_is_on_tissue_where_its_center_is(mask, step):
    whole = Raster.over(mask, (3.0, 2.0), (180, 420), step, 1024)
    (square,) = whole.squares
    assert whole.shape == square.shape
    for n, length in zip(whole.shape, (180, 420), strict=True):
        # the last center lies within the image, one more would not
        assert (n - 0.5) * step < length <= (n + 0.5) * step
    for row, column in np.random.default_rng(1).integers(0, whole.shape, (50, 2)):
        y, x = (row + 0.5) * step, (column + 0.5) * step
        assert square.tissue[row, column] == mask[int(y / 2), int(x / 3)]


def test_squares_share_out_the_pixels_and_fill_them(mask):
    whole = Raster.over(mask, (3.0, 2.0), (180, 420), 2.0, 1024)
    parts = Raster.over(mask, (3.0, 2.0), (180, 420), 2.0, 64)
    assert parts.n == whole.n
    (every,) = whole.squares
    rebuilt = np.full(whole.shape, np.nan, dtype=np.float32)
    for square in parts.squares:
        value = square.pixels() @ [1000, 1]
        y, x = square.origin
        rebuilt[y : y + square.shape[0], x : x + square.shape[1]] = square.filled(value[:, None].astype(np.float32))[0]
    expected = np.add.outer(1000 * np.arange(whole.shape[0]), np.arange(whole.shape[1])).astype(np.float32)
    np.testing.assert_array_equal(rebuilt, np.where(every.tissue, expected, np.nan))


def test_pixels_come_cell_by_cell_whatever_the_squares(mask):
    def cells(side):
        found = {}
        for square in Raster.over(mask, (3.0, 2.0), (180, 420), 2.0, side).squares:
            for pixel in square.pixels():
                found.setdefault(tuple(pixel // CELL), []).append(tuple(pixel))
        return found

    assert cells(32) == cells(64) == cells(1024)


def test_squares_without_tissue_are_left_out():
    mask = np.zeros((50, 80), dtype=bool)
    mask[45, 3] = True
    found = Raster.over(mask, (1.0, 1.0), (50, 80), 1.0, 32)
    assert [s.origin for s in found.squares] == [(32, 0)]
    np.testing.assert_array_equal(found.squares[0].pixels(), [[45, 3]])
