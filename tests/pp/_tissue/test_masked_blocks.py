from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from spatialhist.pp._tissue.masked_blocks import map_masked, nearest


def take(block, mask, rows, columns):
    return np.where(mask[rows][:, columns], block, np.uint8(7))


@pytest.mark.parametrize("factors", [(1.0, 1.0), (4.0, 4.0), (3.5, 2.5)])
def test_equals_the_enlarged_mask(factors):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, 61, 83), dtype=np.uint8)
    mask = rng.random((int(61 // factors[1]), int(83 // factors[0]))) > 0.5
    result = map_masked(da.from_array(image, chunks=(3, 17, 20)), mask, factors, take)
    y = np.minimum(np.floor((np.arange(61) + 0.5) / factors[1]).astype(int), mask.shape[0] - 1)
    x = np.minimum(np.floor((np.arange(83) + 0.5) / factors[0]).astype(int), mask.shape[1] - 1)
    expected = np.where(mask[y][:, x], image, 7)
    np.testing.assert_array_equal(result.compute(), expected)
    assert result.dtype == np.uint8


def test_channels_in_separate_chunks_are_joined():
    image = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)
    result = map_masked(da.from_array(image, chunks=(1, 2, 3)), np.ones((2, 3), bool), (2.0, 2.0), take)
    np.testing.assert_array_equal(result.compute(), image)


def test_nearest_looks_under_the_pixel_center():
    assert nearest(0, 6, 2.0, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert nearest(4, 7, 2.0, 3).tolist() == [2, 2, 2]
