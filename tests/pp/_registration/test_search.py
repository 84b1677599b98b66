from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp._registration.footprint import Footprint
from spatialhist.pp._registration.scene import Scene
from spatialhist.pp._registration.search import candidates
from spatialhist.pp._registration.transforms import flips_and_rotations, move, similarity

PER_UNIT = np.array([6.0, 6.0])


def tissue(points):
    """A slanted block with a notch, at points in units."""
    x, y = points[..., 0], points[..., 1]
    return (x > 5 + 0.2 * y) & (x < 17) & (y > 4) & (y < 14 - 0.1 * x) & ~((x > 12) & (y < 7))


@pytest.fixture
def right():
    column, row = np.meshgrid(np.arange(1, 24) * 0.9, np.arange(1, 18) * 0.9)
    points = np.column_stack([column.ravel(), row.ravel()])
    return points[tissue(points)]


@pytest.fixture
def picture():
    row, column = np.indices((108, 138))
    return tissue(np.stack([column + 0.5, row + 0.5], axis=-1) / 6).astype(float)


def residual(found, wrong, right):
    return np.linalg.norm(move(found, wrong) - right, axis=1).mean()


def test_one_candidate_a_model_each_at_least_as_good(right, picture):
    wrong = move(similarity(right, np.eye(3), np.array([1.2, -0.8, 0.1, 0.05])), right)
    objective = Footprint.of(Scene(picture, PER_UNIT, wrong))
    found = list(candidates(objective, "similarity", False, 4.0))
    assert len(found) == 3
    assert np.allclose(found[0][:2, :2], np.eye(2))
    assert objective.score(found[0]) < objective.score(found[1])
    assert residual(found[1], wrong, right) < 0.4
    assert residual(found[2], wrong, right) < 0.4


def test_reach_is_kept(right, picture):
    objective = Footprint.of(Scene(picture, PER_UNIT, right + [6, 0]))
    (found,) = candidates(objective, "translation", False, 2.0)
    assert abs(found[0, 2]) <= 2.5 and abs(found[1, 2]) <= 2.5
    (found,) = candidates(objective, "translation", False, 8.0)
    assert residual(found, right + [6, 0], right) < 0.3


def test_spots_far_off_the_image_are_no_error(right, picture):
    objective = Footprint.of(Scene(picture, PER_UNIT, right + [500, 0]))
    (found,) = candidates(objective, "translation", False, 2.0)
    assert objective.score(found) == 0


def test_orientations_add_seven(right, picture):
    objective = Footprint.of(Scene(picture, PER_UNIT, move(flips_and_rotations(np.array([23.0, 18.0]))[0], right)))
    found = list(candidates(objective, "translation", True, 4.0))
    assert len(found) == 8
    best = max(found, key=lambda matrix: objective.score(matrix))
    assert residual(best, objective.scene.points, right) < 0.3
