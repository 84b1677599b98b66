"""Registrations of spots: 3x3 matrices that act on (x, y)."""

from __future__ import annotations

from itertools import product

import numpy as np


def move(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a registration to points ``(n, 2)``."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def similarity(points: np.ndarray, orientation: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Flip or rotate the image, then rotate and stretch about the center of the points, then shift.

    Parameters
    ----------
    points
        What is placed ``(n, 2)``.
    orientation
        A registration that comes first.
    parameters
        dx, dy, angle, log stretch; what is left out is 0.
    """
    dx, dy, angle, stretch = (*parameters, 0.0, 0.0)[:4]
    center = move(orientation, points).mean(axis=0)
    linear = np.exp(stretch) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = center + [dx, dy] - linear @ center
    return matrix @ orientation


def flips_and_rotations(size: np.ndarray) -> list[np.ndarray]:
    """Flips and quarter turns that carry an image of this width and height, or the image on its side, onto itself."""
    found = []
    for swap, *flipped in product((False, True), repeat=3):
        flip = np.diag([*np.where(flipped, -1.0, 1.0), 1.0])
        flip[:2, 2] = size * flipped
        found.append(flip[:, [1, 0, 2]] if swap else flip)
    # the first of them changes nothing
    return found[1:]


def around() -> np.ndarray:
    """Shifts by one in eight directions ``(8, 2)``."""
    angles = np.arange(8) * np.pi / 4
    return np.column_stack([np.cos(angles), np.sin(angles)])
