from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from spatialhist.tl._inference.grid import areas, lattice_on

FULL = np.ones((30, 50), dtype=bool)


def test_areas_hold_every_point_once_and_points_of_a_square_together():
    points = np.random.default_rng(0).uniform(0, [90, 40], (200, 2))
    parts = areas(points, 20.0)
    assert len(parts) == 5 * 2
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    for part in parts:
        assert len(np.unique(points[part] // 20, axis=0)) == 1
    corners = np.array([points[part].min(axis=0) // 20 for part in parts])
    assert corners[:6].tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [0, 1]]


def test_points_of_one_square_keep_their_order():
    points = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 0.0]])
    (part,) = areas(points, 50.0)
    assert part.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("lattice", "neighbors"), [("hex", 6), ("square", 4)])
def test_every_inner_point_has_its_neighbors_at_the_spacing(lattice, neighbors):
    points = lattice_on(FULL, (4.0, 8.0), 20.0, lattice)
    inner = ((points > 25) & (points < np.array([200.0, 240.0]) - 25)).all(axis=1)
    near = cKDTree(points).query_ball_point(points[inner], 20.0 + 1e-6, return_length=True)
    assert inner.sum() > 20
    assert set(near - 1) == {neighbors}
    assert cKDTree(points).query(points, k=2)[0][:, 1].min() == pytest.approx(20)


def test_points_lie_on_tissue_by_x_and_y():
    mask = np.zeros((30, 50), dtype=bool)
    mask[20:, 5:10] = True
    points = lattice_on(mask, (4.0, 8.0), 5.0, "square")
    assert points[:, 0].min() >= 20
    assert points[:, 0].max() < 40
    assert points[:, 1].min() >= 160
    assert points[:, 1].max() < 240
    assert len(points) == 4 * 16


@pytest.mark.parametrize("lattice", ["hex", "square"])
def test_density_is_that_of_the_lattice(lattice):
    points = lattice_on(FULL, (40.0, 80.0), 10.0, lattice)
    cell = 100 * (np.sqrt(3) / 2 if lattice == "hex" else 1)
    assert len(points) == pytest.approx(2000 * 2400 / cell, rel=0.01)


def test_spacing_larger_than_the_image():
    assert lattice_on(FULL, (1.0, 1.0), 200.0, "hex").shape == (0, 2)
    assert lattice_on(~FULL, (1.0, 1.0), 5.0, "hex").shape == (0, 2)
