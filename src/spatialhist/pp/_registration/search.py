"""Search for the registration with the best score: coarsely by FFT, then locally; pure arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import minimize

from spatialhist.pp._registration.activity import Activity
from spatialhist.pp._registration.footprint import Footprint
from spatialhist.pp._registration.transforms import flips_and_rotations, move, similarity

Model = Literal["translation", "rigid", "similarity"]
Objective: TypeAlias = Activity | Footprint
"""What makes a registration good."""

FREEDOM: dict[Model, int] = {"translation": 2, "rigid": 3, "similarity": 4}
ANGLES = np.deg2rad(np.arange(-12.0, 12.1, 1.5))
"""Rotations of the coarse search."""
N_START = 4
"""Coarse registrations that are refined."""
MAX_STRETCH = 0.1
"""Of the logarithm of the size: about 10 percent smaller or larger."""

Start = tuple[float, float, float, float]
"""Score, dx, dy and angle."""


def candidates(objective: Objective, model: Model, orientations: bool, reach: float) -> Iterator[np.ndarray]:
    """Best registration of each model, from simple to complex, then of each flip and quarter turn."""
    same = np.eye(3)
    yield _best(objective, same, 2, reach, _starts(objective, same, np.zeros(1), reach))
    if FREEDOM[model] > 2:
        # the same starts for rigid and similar: sizes are refined from 1
        starts = _starts(objective, same, ANGLES, reach)
        for freedom in range(3, FREEDOM[model] + 1):
            yield _best(objective, same, freedom, reach, starts)
    if orientations:
        angles = ANGLES if FREEDOM[model] > 2 else np.zeros(1)
        for orientation in flips_and_rotations(objective.scene.size):
            starts = _starts(objective, orientation, angles, np.inf)
            yield _best(objective, orientation, FREEDOM[model], np.inf, starts)


def _starts(objective: Objective, orientation: np.ndarray, angles: np.ndarray, reach: float) -> list[Start]:
    """Best shift at each angle, the best of these first."""
    return sorted((_best_shift(objective, orientation, angle, reach) for angle in angles), reverse=True)


def _best_shift(objective: Objective, orientation: np.ndarray, angle: float, reach: float) -> Start:
    scene = objective.scene
    placed = move(similarity(scene.points, orientation, np.array([0, 0, angle])), scene.points)
    cells = scene.cells(placed)
    origin = cells.min(axis=0)
    scores = objective.at_shifts(cells - origin)
    zero = cells.max(axis=0)
    limit = reach * scene.per_unit[::-1]
    low = np.maximum(np.ceil(zero - limit), 0).astype(int) if np.isfinite(reach) else np.zeros(2, int)
    high = np.minimum(zero + limit + 1, scores.shape).astype(int)
    window = scores[low[0] : high[0], low[1] : high[1]]
    if window.size == 0:
        return -np.inf, 0.0, 0.0, float(angle)
    best = np.unravel_index(window.argmax(), window.shape)
    dy, dx = (low + best - zero) / scene.per_unit[::-1]
    return float(window[best]), float(dx), float(dy), float(angle)


def _best(objective: Objective, orientation: np.ndarray, freedom: int, reach: float, starts: list[Start]) -> np.ndarray:
    """Refine the best starts and take the best of what comes out."""
    refined = [_refine(objective, orientation, np.array(start[1:]), freedom, reach) for start in starts[:N_START]]
    return max(refined, key=objective.score)


def _refine(objective: Objective, orientation: np.ndarray, start: np.ndarray, freedom: int, reach: float) -> np.ndarray:
    """Nelder-Mead in which every parameter moves the spots by about as much."""
    points = objective.scene.points
    radius = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    scales = np.array([1, 1, 1 / radius, 1 / radius])[:freedom]
    initial = np.append(start, 0.0)[:freedom] / scales
    # a little beyond the coarse search, so that an optimum at its edge is found
    limits = np.array([reach + 0.5, reach + 0.5, 1.25 * ANGLES[-1] * radius, MAX_STRETCH * radius])[:freedom]

    def loss(parameters: np.ndarray) -> float:
        if (np.abs(parameters) > limits).any():
            return np.inf
        return -objective.score(similarity(points, orientation, parameters * scales))

    simplex = initial + np.vstack([np.zeros(freedom), 0.5 * np.eye(freedom)])
    options = {"initial_simplex": simplex, "xatol": 0.01, "fatol": 1e-6, "maxiter": 200}
    # without gradients: the score is read from pixels, and limits cut it off
    found = minimize(loss, initial, method="Nelder-Mead", options=options)
    return similarity(points, orientation, found.x * scales)
