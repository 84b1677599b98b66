from __future__ import annotations

import numpy as np

from spatialhist.pp._registration.scene import Scene, binned, make_scene, sums_at_shifts


def test_positions_are_kept_while_the_picture_shrinks():
    picture = np.zeros((130, 100))
    picture[40:60, 70:80] = 1
    scene = make_scene(picture, (2.0, 4.0), np.array([[75 * 2, 50 * 4]]) / 60.0, 60.0)
    assert scene.picture.shape == (65, 50)
    np.testing.assert_allclose(scene.per_unit, [15, 7.5])
    np.testing.assert_allclose(scene.size, np.array([200, 520]) / 60)
    np.testing.assert_allclose(scene.values(scene.picture, scene.points), 1)
    np.testing.assert_allclose(scene.values(scene.picture, scene.points + [0.2, 0]), 0)
    np.testing.assert_array_equal(scene.cells(np.array([[0.1, 0.2]])), [[1, 1]])


def test_nothing_lies_beyond_the_border():
    scene = Scene(np.ones((20, 30)), np.array([5.0, 5.0]), np.array([[-1.0, 2], [3, 9]]))
    np.testing.assert_array_equal(scene.values(scene.picture, scene.points), [0, 0])
    assert scene.smooth(scene.picture, 1.0)[0, 0] < 0.5


def test_binned_means():
    points, values = binned(np.array([[0.1, 0.2], [0.3, 0.4], [1.5, 0.2]]), np.array([2.0, 4, 7]))
    np.testing.assert_allclose(points, [[0.2, 0.3], [1.5, 0.2]])
    np.testing.assert_allclose(values, [3, 7])


def test_sums_at_shifts_equal_a_loop():
    rng = np.random.default_rng(0)
    field, cells, weights = rng.random((9, 12)), np.array([[0, 2], [1, 0], [3, 4]]), np.array([1.0, -2, 3])
    found = sums_at_shifts(field, cells, weights)
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            rows, columns = (cells + [i, j] - cells.max(axis=0)).T
            inside = (rows >= 0) & (rows < 9) & (columns >= 0) & (columns < 12)
            np.testing.assert_allclose(found[i, j], weights[inside] @ field[rows[inside], columns[inside]], atol=1e-9)
