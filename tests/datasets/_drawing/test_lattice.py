from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.lattice import hexagonal_lattice, jittered_lattice


def test_inner_points_have_six_neighbors_at_the_pitch() -> None:
    xy = hexagonal_lattice((900.0, 600.0), 100.0)
    inner = ((xy > 150) & (xy < (750, 450))).all(axis=1)
    distance, _ = cKDTree(xy).query(xy[inner], k=8)
    assert inner.sum() > 10
    np.testing.assert_allclose(distance[:, 1:7], 100.0)
    assert (distance[:, 7] > 150).all()


def test_lattice_fills_a_wide_extent_and_stays_inside() -> None:
    xy = hexagonal_lattice((900.0, 300.0), 50.0)
    assert (xy >= 0).all() and (xy < (900, 300)).all()
    assert xy[:, 0].max() > 840 and 240 < xy[:, 1].max() < 300


def test_jitter_moves_by_less_than_half_a_pitch() -> None:
    shift = jittered_lattice((700.0, 400.0), 30.0, np.random.default_rng(0)) - hexagonal_lattice((700.0, 400.0), 30.0)
    assert 5 < np.abs(shift).max() <= 10
