from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._data.context import AT_ONCE, Context

RADII = (3.0, 20.0)


@pytest.fixture
def context():
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(0, 50, 4.0), np.arange(0, 30, 4.0))
    points = np.column_stack([x.ravel(), y.ravel()])
    return Context(points, [rng.normal(size=(len(points), n)).astype(np.float32) for n in (2, 3)], RADII)


def test_averages_are_weighted_by_distance_extents_fastest(context):
    points = np.array([[10.0, 7.0], [44.0, 3.0]])
    found = context.around(points)
    assert [b.shape[1] for b in found] == [2, 3, 2, 3]
    for i, radius in enumerate(RADII):
        for j, features in enumerate(context.features):
            for point, mean in zip(points, found[2 * i + j], strict=True):
                weights = np.exp(-0.5 * (np.linalg.norm(context.points - point, axis=1) / radius) ** 2)
                np.testing.assert_allclose(mean, np.average(features, axis=0, weights=weights), rtol=1e-4, atol=1e-6)


def test_a_constant_stays_itself_at_the_border_and_far_from_tissue(context):
    constant = Context(context.points, [np.full((len(context.points), 1), 5, np.float32)], RADII)
    for block in constant.around(np.array([[0.0, 0.0], [-3e5, 1e6]])):
        np.testing.assert_allclose(block, 5, rtol=1e-6)


def test_averages_do_not_depend_on_the_other_points(context):
    points = np.random.default_rng(1).uniform(0, 50, (AT_ONCE + 7, 2))
    for all_at_once, last in zip(context.around(points), context.around(points[-3:]), strict=True):
        np.testing.assert_allclose(all_at_once[-3:], last, rtol=1e-5, atol=1e-6)


def test_without_radii_there_are_no_averages():
    assert Context(np.empty((0, 2)), [], ()).around(np.zeros((4, 2))) == []
