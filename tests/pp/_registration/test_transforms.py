from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp._registration.transforms import around, flips_and_rotations, move, similarity

POINTS = np.array([[1.0, 2], [5, 2], [3, 8]])


def test_similarity_rotates_about_the_center_then_shifts():
    matrix = similarity(POINTS, np.eye(3), np.array([10, -1, np.pi / 2]))
    np.testing.assert_allclose(move(matrix, POINTS), [[15, 1], [15, 5], [9, 3]])


def test_stretch_keeps_the_center():
    matrix = similarity(POINTS, np.eye(3), np.array([0, 0, 0, np.log(2)]))
    np.testing.assert_allclose(move(matrix, POINTS), 2 * POINTS - POINTS.mean(axis=0))


@pytest.mark.parametrize("turn", flips_and_rotations(np.array([7.0, 9.0])))
def test_flips_and_rotations_carry_the_image_onto_itself(turn):
    image = np.array([[0.0, 0], [7, 0], [7, 9], [0, 9]])
    swapped = abs(turn[0, 1]) == 1
    there = move(turn, image[:, ::-1] if swapped else image)
    assert set(map(tuple, there)) == set(map(tuple, image))


def test_seven_turns_and_eight_directions():
    assert len({turn.tobytes() for turn in flips_and_rotations(np.array([7.0, 9.0]))}) == 7
    np.testing.assert_allclose(np.linalg.norm(around(), axis=1), 1)
    np.testing.assert_allclose(around().sum(axis=0), 0, atol=1e-12)
