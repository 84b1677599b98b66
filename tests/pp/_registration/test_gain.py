from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from spatialhist.pp._registration.footprint import BLOCK, standard_errors


def test_blocks_are_what_varies():
    corners = np.array([[0.5, 0.5], [BLOCK + 1, 1], [1, 2 * BLOCK + 1]])
    points = np.repeat(corners, 4, axis=0)
    sums = np.array([1.0, 2.0, 6.0])
    assert_allclose(standard_errors(points, np.repeat(sums / 4, 4)), 9 / (np.std(sums) * np.sqrt(3)))


def test_neighbors_that_gain_together_count_once():
    rng = np.random.default_rng(0)
    points = rng.random((4000, 2)) * 40
    alone = rng.normal(0.05, 1, 4000)
    together = 0.05 + rng.normal(0, 1, (10, 10))[tuple((points // BLOCK).astype(int).T)]
    assert standard_errors(points, alone) > 2
    assert abs(standard_errors(points, together)) < 2


def test_a_single_block_says_nothing():
    assert standard_errors(np.ones((5, 2)), np.ones(5)) == 0
