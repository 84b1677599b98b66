from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._data.spot_pixels import SpotPixels


@pytest.mark.parametrize(("step", "radius"), [(3.0, 10.0), (7.5, 20.0), (2.0, 2.0)])
def test_a_spot_is_the_pixels_whose_centers_it_covers(step, radius):
    spots = np.random.default_rng(0).uniform([20, 40], [120, 90], (9, 2))
    found = SpotPixels.under(spots, step, radius)
    # independent: every pixel of the whole map, spot by spot
    y, x = (np.mgrid[:60, :70] + 0.5) * step
    values = np.sin(x / 7) + 0.1 * y
    mean = found.average(np.column_stack([np.sin(found.points[:, 0] / 7) + 0.1 * found.points[:, 1]]))
    for (a, b), value in zip(spots, mean[:, 0], strict=True):
        inside = (x - a) ** 2 + (y - b) ** 2 <= radius**2
        assert value == pytest.approx(values[inside].mean(), rel=1e-5)
    assert len(np.unique(found.points, axis=0)) == len(found.points)


def test_a_spot_smaller_than_a_pixel_is_the_pixel_that_holds_it():
    found = SpotPixels.under(np.array([[11.0, 29.0]]), 10.0, 0.5)
    np.testing.assert_array_equal(found.points, [[15.0, 25.0]])
    np.testing.assert_array_equal(found.average(np.array([[3.0, 4.0]])), [[3.0, 4.0]])
