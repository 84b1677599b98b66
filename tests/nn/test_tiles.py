import numpy as np
import pytest
import torch

from spatialhist.nn import split_tiles
from spatialhist.nn._tiles import center_subtile


def test_subtiles_are_row_major():
    tile = torch.arange(2 * 3 * 6 * 9).reshape(2, 3, 6, 9)
    subtiles = split_tiles(tile, 3)
    assert subtiles.shape == (2, 9, 3, 2, 3)
    for i in range(9):
        row, column = divmod(i, 3)
        expected = tile.numpy()[:, :, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
        np.testing.assert_array_equal(subtiles[:, i], expected)


def test_indivisible_sides_are_cropped_around_the_center():
    tile = torch.arange(8 * 11).reshape(1, 1, 8, 11)
    subtiles = split_tiles(tile, 3)
    assert subtiles.shape == (1, 9, 1, 2, 3)
    assert subtiles[0, 0, 0, 0, 0] == tile[0, 0, 1, 1]
    assert subtiles[0, 8, 0, 1, 2] == tile[0, 0, 6, 9]


@pytest.mark.parametrize("grid", [1, 2, 3, 4])
def test_center_is_a_view_of_the_tile(grid):
    tile = torch.rand(2, 3, 12, 16)
    center = center_subtile(tile, grid)
    assert torch.equal(center, split_tiles(tile, grid)[:, grid * grid // 2])
    tile.zero_()
    assert not center.any()


@pytest.mark.parametrize("grid", [0, 6])
def test_grid_that_does_not_fit_is_refused(grid):
    with pytest.raises(ValueError, match=f"grid={grid} does not fit tiles of 5 x 9"):
        split_tiles(torch.rand(1, 3, 5, 9), grid)
