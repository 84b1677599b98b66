from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.conftest import picture

from spatialhist.io._images import arrays
from spatialhist.io._images.arrays import to_rgb8

RGB = picture(40, 61)


def test_rgb_is_not_copied():
    assert np.shares_memory(to_rgb8(RGB), RGB)
    assert np.shares_memory(to_rgb8(np.moveaxis(RGB, -1, 0)), RGB)


@pytest.mark.parametrize("shape", [(40, 61), (40, 61, 1), (1, 40, 61)])
def test_gray_becomes_three_channels(shape):
    gray = RGB[..., 0].reshape(shape)
    np.testing.assert_array_equal(to_rgb8(gray), np.dstack([RGB[..., 0]] * 3))


@settings(deadline=None)
@given(st.integers(0, 255), st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_go_back_to_the_same_gray(value, dtype):
    assert (to_rgb8(np.full((2, 5, 3), value / 255, dtype=dtype)) == value).all()


def test_conversion_in_blocks(monkeypatch):
    monkeypatch.setattr(arrays, "ROWS", 7)
    np.testing.assert_array_equal(to_rgb8(RGB / 255), RGB)


def test_half_transparent_black_is_gray():
    rgba = np.zeros((5, 8, 4), np.uint8)
    rgba[..., 3] = 51
    assert (to_rgb8(rgba) == 204).all()


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((3, 50, 3), np.uint8), ValueError, "either end could be the channels"),
        (np.zeros((50, 60, 2), np.uint8), ValueError, "neither end has 1, 3 or 4"),
        (np.zeros((1, 50, 60, 3), np.uint8), ValueError, r"shape \(1, 50, 60, 3\)"),
        (np.zeros((0, 60, 3), np.uint8), ValueError, "60 x 0 pixels"),
        (np.full((50, 60, 3), 128.0), ValueError, r"floats from 128.0 to 128.0: want \[0, 1\]"),
        (np.full((50, 60, 3), -0.1), ValueError, "floats from -0.1"),
        (np.full((50, 60, 3), np.nan), ValueError, "holds NaN"),
        (np.zeros((50, 60, 3), np.uint16), TypeError, "holds uint16"),
        (np.zeros((50, 60, 3), bool), TypeError, "holds bool"),
        ([["a"]], TypeError, "holds <U1"),
    ],
)
def test_unclear_images_are_refused(image, error, message):
    with pytest.raises(error, match=message):
        to_rgb8(image)
