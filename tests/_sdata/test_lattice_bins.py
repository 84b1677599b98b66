"""Points fall into the spot whose center is nearest."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from spatialhist._sdata.lattice_bins import cell_centers, cell_codes, decode_cells, lattice_bins, lattice_cells


def _points(n=5000):
    return np.random.default_rng(4).uniform((-300.0, 120.0), (900.0, 480.0), (n, 2))


def _all_cells(row, column):
    return np.column_stack([a.ravel() for a in np.meshgrid(np.arange(*row), np.arange(*column), indexing="ij")])


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_every_point_falls_into_the_nearest_spot(lattice):
    points = _points()
    spot, centers = lattice_bins(points, 55.0, lattice)
    every = cell_centers(_all_cells((-2, 20), (-10, 20)), 55.0, lattice)
    nearest, _ = cKDTree(every).query(points)
    np.testing.assert_allclose(np.linalg.norm(points - centers[spot], axis=1), nearest)


def test_a_hexagonal_lattice_has_six_neighbors_one_spacing_apart():
    centers = cell_centers(_all_cells((0, 9), (0, 9)), 20.0, "hex")
    distance = np.linalg.norm(centers - centers[40], axis=1)
    np.testing.assert_allclose(np.sort(distance)[1:7], 20.0)
    assert np.sort(distance)[7] > 30


def test_squares_hang_on_the_origin():
    bins = np.array([[4.0, 4.0], [12.0, 12.0], [20.0, 4.0], [4.0, 20.0]])
    spot, centers = lattice_bins(bins, 16.0, "square")
    assert spot.tolist() == [0, 0, 1, 2]
    assert centers.tolist() == [[8.0, 8.0], [24.0, 8.0], [8.0, 24.0]]


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_parts_give_what_the_whole_gives(lattice):
    points = _points()
    parts = np.concatenate([lattice_cells(part, 31.0, lattice) for part in np.array_split(points, 7)])
    spot, centers = lattice_bins(points, 31.0, lattice)
    np.testing.assert_allclose(cell_centers(parts, 31.0, lattice), centers[spot])
    assert np.array_equal(decode_cells(cell_codes(parts)), parts)


def test_no_points_are_no_spots():
    spot, centers = lattice_bins(np.empty((0, 2)), 55.0)
    assert spot.shape == (0,) and centers.shape == (0, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e12])
def test_a_point_that_is_nowhere_is_named(bad):
    with pytest.raises(ValueError, match=r"point \[3.0, .*\] is not finite, or too far away"):
        lattice_bins(np.array([[1.0, 2.0], [3.0, bad]]), 55.0)
