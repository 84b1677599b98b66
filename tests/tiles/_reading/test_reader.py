from __future__ import annotations

import pickle
from unittest.mock import patch

import numpy as np
import pytest

from spatialhist.tiles import PixelSource, TileReader

FACTORS = (1, 2, 4)
HEIGHT, WIDTH = 301, 422


@pytest.fixture
def direct(pixels, level_pixels):
    """Return a function that cuts a tile out of a level by plain indexing, reflecting at the borders."""

    def cut(center, factor: int, size: int) -> np.ndarray:
        left, top = (int(np.floor(c / factor - size / 2 + 0.5)) + size for c in center)
        level = np.pad(level_pixels(pixels, factor), ((0, 0), (size, size), (size, size)), mode="symmetric")
        return level[:, top : top + size, left : left + size]

    return cut


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", [1, 2, 15, 16, 31])
def test_tile_is_what_direct_indexing_gives(pixels, pyramid, direct, factor, size):
    rng = np.random.default_rng(size)
    height, width = pixels.shape[1:]
    centers = np.column_stack(
        [rng.uniform(0, width // factor * factor, 60), rng.uniform(0, height // factor * factor, 60)]
    )
    tiles = TileReader(pyramid).read(centers, size * factor, size)
    for tile, center in zip(tiles, centers, strict=True):
        np.testing.assert_array_equal(tile, direct(center, factor, size))


@pytest.mark.parametrize("factor", FACTORS)
def test_odd_tile_at_the_center_of_a_pixel_has_it_in_the_middle(pixels, pyramid, level_pixels, factor):
    x, y = 37, 22
    center = np.array([[(x + 0.5) * factor, (y + 0.5) * factor]])
    tile = TileReader(pyramid).read(center, 9 * factor, 9)[0]
    np.testing.assert_array_equal(tile[:, 4, 4], level_pixels(pixels, factor)[:, y, x])


@pytest.mark.parametrize("corner", [(0, 0), (422, 0), (0, 301), (422, 301)])
def test_border_is_reflected_when_shrinking(pixels, pyramid, corner):
    tile = TileReader(pyramid).read(np.array([corner], float), 30, 20)[0]
    np.testing.assert_array_equal(tile, tile[:, ::-1])
    np.testing.assert_array_equal(tile, tile[:, :, ::-1])


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", [1, 15, 16, 600])
def test_white_padding_is_what_direct_indexing_gives(pixels, pyramid, level_pixels, factor, size):
    rng = np.random.default_rng(size)
    centers = rng.uniform(-40, [WIDTH + 40, HEIGHT + 40], (60, 2))
    level = np.pad(level_pixels(pixels, factor), ((0, 0), (700, 700), (700, 700)), constant_values=255)
    tiles = TileReader(pyramid).read(centers, size * factor, size, padding="white")
    for tile, center in zip(tiles, centers, strict=True):
        left, top = (int(np.floor(c / factor - size / 2 + 0.5)) + 700 for c in center)
        np.testing.assert_array_equal(tile, level[:, top : top + size, left : left + size])


def test_white_padding_when_shrinking(pyramid):
    tile = TileReader(pyramid).read(np.array([[0.0, 100.0]]), 30, 20, padding="white")[0]
    assert (tile[:, :, :10] == 255).all()
    inside = TileReader(pyramid).read(np.array([[0.0, 100.0]]), 30, 20)[0]
    np.testing.assert_array_equal(tile[:, :, 10:], inside[:, :, 10:])


def test_unknown_padding_is_refused(pyramid):
    with pytest.raises(ValueError, match="padding='wrap' is not one of"):
        TileReader(pyramid).read(np.array([[5.0, 5]]), 10, 8, padding="wrap")


def test_tile_that_shows_nothing_of_the_image_is_white(pyramid):
    centers = np.array([[-8.0, 50.0], [-7.9, 50.0], [50.0, 309.0], [1e7, -1e7]])
    tiles = TileReader(pyramid).read(centers, 16, 16)
    assert (tiles[[0, 2, 3]] == 255).all()
    assert not (tiles[1] == 255).all()


def test_tile_larger_than_the_image_repeats_it(pyramid, direct):
    tile = TileReader(pyramid).read(np.array([[211.0, 150.0]]), 2000, 500)[0]
    np.testing.assert_array_equal(tile, direct((211, 150), 4, 500))


def test_order_is_kept_and_iter_gives_every_position_once(pyramid):
    rng = np.random.default_rng(3)
    centers = rng.uniform(-20, 440, (150, 2))
    reader = TileReader(pyramid)
    tiles = reader.read(centers, 40, 24)
    alone = np.concatenate([reader.read(c[None], 40, 24) for c in centers])
    np.testing.assert_array_equal(tiles, alone)
    parts = list(reader.iter(centers, 40, 24, batch=32))
    assert max(len(index) for index, _ in parts) <= 32
    index = np.concatenate([i for i, _ in parts])
    np.testing.assert_array_equal(np.sort(index), np.arange(150))
    np.testing.assert_array_equal(np.concatenate([t for _, t in parts]), tiles[index])


def test_small_cache_changes_nothing_but_speed(pyramid):
    centers = np.random.default_rng(4).uniform(0, 300, (80, 2))
    np.testing.assert_array_equal(
        TileReader(pyramid, cache_mb=0).read(centers, 70, 40), TileReader(pyramid).read(centers, 70, 40)
    )


def test_each_block_is_read_once_in_a_pass(pyramid):
    centers = np.random.default_rng(5).uniform(0, 300, (500, 2))
    read = []
    original = PixelSource.read_run

    def count(self, level, row, columns):
        read.extend((level, row, c) for c in columns)
        return original(self, level, row, columns)

    with patch.object(PixelSource, "read_run", count):
        list(TileReader(pyramid, cache_mb=8).iter(centers, 40, 40, batch=16))
    assert len(read) == len(set(read)) > 1


def test_no_centers_give_no_tiles(pyramid):
    assert TileReader(pyramid).read(np.empty((0, 2)), 10, 8).shape == (0, 3, 8, 8)


def test_center_that_is_not_finite_is_named(pyramid):
    with pytest.raises(ValueError, match="1 of 2 tile centers in image 'S1_full_image'.*position 1.*filter_spots"):
        TileReader(pyramid).read(np.array([[5.0, 5], [np.nan, 5]]), 10, 8)


@pytest.mark.parametrize(("extent", "size"), [(0, 8), (float("nan"), 8), (10, 0)])
def test_size_must_be_positive(pyramid, extent, size):
    with pytest.raises(ValueError, match="must be positive"):
        TileReader(pyramid).read(np.array([[5.0, 5]]), extent, size)


def test_pickled_reader_is_small_and_reads_the_same(pyramid):
    reader = TileReader(pyramid)
    centers = np.array([[50.0, 60.0]])
    tile = reader.read(centers, 30, 20)
    data = pickle.dumps(reader)
    assert len(data) < 8_000
    np.testing.assert_array_equal(pickle.loads(data).read(centers, 30, 20), tile)
