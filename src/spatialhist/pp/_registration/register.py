"""Registration of spots to tissue; pure arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spatialhist.pp._registration.activity import Activity
from spatialhist.pp._registration.footprint import Footprint
from spatialhist.pp._registration.scene import binned, make_scene
from spatialhist.pp._registration.search import Model, Objective, candidates
from spatialhist.pp._registration.transforms import move, similarity

MAX_ACROSS = 80
"""More spots than this across are binned."""
N_RANDOM = 200
"""Random registrations that one is compared with."""
RANDOM_QUANTILE = 0.99
"""Of their scores, which it has to exceed: all but two of them."""
MIN_MOVE = 0.25
"""Moves below this, as a mean over spots, are within the error of the method."""
NO_BETTER = "no registration is clearly better than the original coordinates"


@dataclass(frozen=True)
class Registration:
    """Where spots belong.

    Attributes
    ----------
    matrix
        3x3, in pixels, on (x, y); the identity unless accepted.
    accepted
        Whether the best registration is clear of noise.
    reason
        Why, or why not.
    stays
        Whether spots fit where they are: nothing is clearly better, and random registrations are worse.
    scores
        What it was chosen by, each under its own name: ``overlap_before``, ``overlap_after``, ``overlap_random``
        (quantile over random registrations), ``overlaps_random`` (all of them, sorted) and ``sharpness`` by footprint;
        ``correlation_before`` and so on and ``log_likelihood_lead`` by activity; empty where there were too few spots.
    """

    matrix: np.ndarray
    accepted: bool
    reason: str
    stays: bool = False
    scores: dict[str, Any] = field(default_factory=dict)


def register(
    picture: np.ndarray,
    factors: tuple[float, float],
    xy: np.ndarray,
    pitch: float,
    *,
    model: Model = "rigid",
    orientations: bool = False,
    max_shift: float = 5.0,
    activity: np.ndarray | None = None,
    seed: int = 0,
) -> Registration:
    """Find the move that puts spots on tissue.

    Parameters
    ----------
    picture
        How much tissue there is, 0 to 1, or with ``activity`` how much hematoxylin, ``(y, x)``.
    factors
        Image pixels per pixel of it, ``(x, y)``.
    xy
        Spot centers ``(n, 2)`` in image pixels.
    pitch
        Distance of neighboring spots in image pixels.
    model
        What may change.
    orientations
        Also try flips and quarter turns, anywhere on the image.
    max_shift
        Range of the search in spot spacings, in x and in y.
    activity
        How much each spot expresses ``(n,)``. Spots are placed by their footprint if None.
    seed
        For the random registrations.
    """
    unit = max(pitch, float(np.ptp(xy, axis=0).max()) / MAX_ACROSS)
    points, values = xy / unit, np.zeros(len(xy)) if activity is None else activity
    if unit > pitch:
        points, values = binned(points, values)
    scene = make_scene(picture, factors, points, unit)
    objective: Objective = Footprint.of(scene) if activity is None else Activity.of(scene, values)
    found = _simplest(objective, candidates(objective, model, orientations, max_shift * pitch / unit))
    after = objective.score(found)
    random = np.sort(_random_scores(objective, np.random.default_rng(seed)))
    limit = float(np.quantile(random, RANDOM_QUANTILE))
    certainty = objective.certainty(found)
    stays = np.array_equal(found, np.eye(3))
    reason = NO_BETTER * stays or _not_above_random(after, limit) or objective.reason(certainty)
    scale, measure = np.diag([unit, unit, 1.0]), objective.measure
    return Registration(
        matrix=np.eye(3) if reason else scale @ found @ np.linalg.inv(scale),
        accepted=not reason,
        reason=reason or "clear of noise and of random registrations",
        stays=stays and after > limit,
        scores={
            f"{measure}_before": objective.score(np.eye(3)),
            f"{measure}_after": after,
            f"{measure}_random": limit,
            f"{measure}s_random": random.round(5).tolist(),
            objective.certainty_is: certainty,
        },
    )


def _simplest(objective: Objective, found: Iterator[np.ndarray]) -> np.ndarray:
    """Last candidate that is clearly better than the one before; the identity if none is, or if it hardly moves."""
    best = next(found)
    for candidate in found:
        if objective.is_better(candidate, best):
            best = candidate
    points = objective.scene.points
    distance = np.linalg.norm(move(best, points) - points, axis=1).mean()
    return best if distance > MIN_MOVE and objective.is_better(best, np.eye(3)) else np.eye(3)


def _not_above_random(after: float, limit: float) -> str:
    if after > limit:
        return ""
    return f"its score {after:.3f} is not above that of random registrations, {limit:.3f}"


def _random_scores(objective: Objective, rng: np.random.Generator) -> np.ndarray:
    """Scores of random registrations: any angle, the spots' center anywhere on the image."""
    points = objective.scene.points
    targets = rng.random((N_RANDOM, 2)) * objective.scene.size
    angles = rng.random(N_RANDOM) * 2 * np.pi
    moves = np.column_stack([targets - points.mean(axis=0), angles])
    return np.array([objective.score(similarity(points, np.eye(3), parameters)) for parameters in moves])
