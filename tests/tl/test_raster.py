from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._inference.grid import lattice_on
from spatialhist.tl._to_image import REACH, rasterize


def test_pixels_are_the_mean_of_the_discs_over_their_centers():
    rng = np.random.default_rng(0)
    points, values = rng.uniform(0, [60, 40], (25, 2)), rng.normal(size=(25, 3))
    raster = rasterize(points, values, 9.0, 2.5, (16, 24))
    assert raster.shape == (3, 16, 24)
    assert raster.dtype == np.float32
    for row, column in np.ndindex(16, 24):
        center = (np.array([column, row]) + 0.5) * 2.5
        covered = np.hypot(*(points - center).T) <= 9
        if covered.any():
            np.testing.assert_allclose(raster[:, row, column], values[covered].mean(axis=0), rtol=1e-5, atol=1e-6)
        else:
            assert np.isnan(raster[:, row, column]).all()


def test_unknown_values_do_not_count():
    points = np.array([[5.0, 5.0], [6.0, 5.0]])
    raster = rasterize(points, np.array([[1.0, np.nan], [3.0, 4.0]]), 10.0, 10.0, (1, 1))
    assert raster[:, 0, 0].tolist() == [2, 4]
    assert np.isnan(rasterize(points, np.full((2, 1), np.nan), 10.0, 10.0, (1, 1))).all()


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_discs_of_the_reach_leave_no_gap(lattice):
    points = lattice_on(np.ones((40, 60), dtype=bool), (5.0, 5.0), 20.0, lattice)
    raster = rasterize(points, np.ones((len(points), 1)), REACH * 20, 2.0, (100, 150))
    assert np.isfinite(raster[0, 8:-14, 8:-14]).all()
