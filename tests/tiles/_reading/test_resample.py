from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean, resize

from spatialhist.tiles._reading.resample import Axis, mirror, resample


def axis_around(center: float, extent: float, pixels: int) -> Axis:
    return Axis(np.array([center - extent / 2]), extent / pixels, pixels)


def shrink(image: np.ndarray, center: tuple[float, float], extent: float, pixels: int) -> np.ndarray:
    """Resample a part `(c, y, x)` that lies within the image."""
    columns, rows = (axis_around(c, extent, pixels) for c in center)
    y, x = int(rows.first[0]), int(columns.first[0])
    window = np.pad(image, ((0, 0), (0, 4), (0, 4)))[:, y : y + rows.size, x : x + columns.size]
    out = np.empty((3, pixels, pixels), np.uint8)
    pairs = [axis.weights(np.array([0])) for axis in (rows, columns)]
    resample(np.ascontiguousarray(window), *(part[0] for pair in pairs for part in pair), out)
    return out


def area_by_supersampling(image: np.ndarray, center: tuple[float, float], extent: float, pixels: int, fine: int):
    """Area average by cutting every pixel into `fine * fine`: exact where all borders lie on that raster."""
    big = image.repeat(fine, axis=1).repeat(fine, axis=2).astype(float)
    left, top = (round((c - extent / 2) * fine) for c in center)
    side = round(extent * fine)
    part = big[:, top : top + side, left : left + side]
    return downscale_local_mean(part, (1, side // pixels, side // pixels))


@pytest.mark.parametrize(
    ("extent", "pixels", "center"), [(24, 8, (20, 17)), (15, 10, (21.5, 18.25)), (17.5, 7, (20, 16.75))]
)
def test_area_average_is_exact(pixels, extent, center):
    image = np.random.default_rng(1).integers(0, 256, (3, 40, 44), dtype=np.uint8)
    expected = area_by_supersampling(image, center, extent, pixels, fine=4)
    assert np.abs(shrink(image, center, extent, pixels) - expected).max() <= 0.51


def test_enlarging_interpolates_between_pixel_centers():
    image = np.random.default_rng(2).integers(0, 256, (3, 30, 34), dtype=np.uint8)
    big = resize(image.astype(float), (3, 90, 102), order=1, anti_aliasing=False, preserve_range=True)
    found = shrink(image, (17, 15), 10, 30)
    np.testing.assert_allclose(found, big[:, 30:60, 36:66], atol=0.51)


@settings(max_examples=50, deadline=None)
@given(center=st.floats(100, 200), extent=st.floats(3, 150), pixels=st.integers(1, 64), value=st.integers(0, 255))
def test_flat_image_stays_flat(center, extent, pixels, value):
    image = np.full((3, 300, 310), value, np.uint8)
    assert (shrink(image, (center, center + 3), extent, pixels) == value).all()


@settings(max_examples=100, deadline=None)
@given(center=st.floats(-50, 50), extent=st.floats(1, 300), pixels=st.integers(1, 100))
def test_weights_sum_to_one_within_the_window(center, extent, pixels):
    axis = axis_around(center, extent, pixels)
    start, weights = axis.weights(np.array([0]))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert start.min() >= 0
    assert start.max() + weights.shape[1] <= axis.size


def test_center_of_mass_of_area_weights_is_the_center():
    axis = axis_around(50.3, 40.6, 9)
    start, weights = axis.weights(np.array([0]))
    position = axis.first[0] + start[0] + np.arange(axis.taps)[:, None] + 0.5
    assert np.isclose((weights[0] * position).sum() / 9, 50.3, atol=0.02)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_mirror_is_numpys_symmetric_padding(size):
    expected = np.pad(np.arange(size), 20, mode="symmetric")
    np.testing.assert_array_equal(mirror(np.arange(-20, size + 20), size), expected)
