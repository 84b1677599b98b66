from __future__ import annotations

import numpy as np

from spatialhist.tl._inference.grid import areas


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
