"""Registration of spots to tissue; pure arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spatialhist.pp._registration.activity import Activity
from spatialhist.pp._registration.footprint import Footprint
from spatialhist.pp._registration.placements import move, placement
from spatialhist.pp._registration.scene import binned, make_scene
from spatialhist.pp._registration.search import Model, Objective, candidates

MAX_ACROSS = 80
"""More spots than this across are binned."""
N_NULL = 200
NULL_QUANTILE = 0.99
MIN_MOVE = 0.25
"""Moves below this, as a mean over spots, are within the error of the method."""


@dataclass(frozen=True)
class Registration:
    """Where spots belong.

    Attributes
    ----------
    matrix
        3x3, in pixels, on (x, y); the identity unless accepted.
    score_before, score_after
        Score at the given and at the best registration: overlap with the tissue, or correlation of activity and nuclei.
    null, null_scores
        Quantile of the scores of random registrations, and all of them, sorted.
    sharpness
        By overlap: fall of the score when the best registration is moved by a unit to the flattest side, relative to a
        tissue of exactly the spots' outline: 1 is well defined, 0 not at all. By activity: log-likelihood over the best
        registration that is a unit or more away.
    accepted
        Whether the best registration is clear of noise.
    reason
        Why, or why not.
    """

    matrix: np.ndarray
    score_before: float
    score_after: float
    null: float
    null_scores: np.ndarray
    sharpness: float
    accepted: bool
    reason: str


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
    objective = _objective(picture, factors, xy / unit, unit, activity, dense=unit > pitch)
    found = _simplest(objective, candidates(objective, model, orientations, max_shift * pitch / unit))
    after = objective.score(found)
    null_scores = np.sort(_null(objective, np.random.default_rng(seed)))
    null = float(np.quantile(null_scores, NULL_QUANTILE))
    sharpness = objective.sharpness(found)
    reason = _reason(found, after, null) or objective.reason(sharpness)
    scale = np.diag([unit, unit, 1.0])
    return Registration(
        matrix=np.eye(3) if reason else scale @ found @ np.linalg.inv(scale),
        score_before=objective.score(np.eye(3)),
        score_after=after,
        null=null,
        null_scores=null_scores,
        sharpness=sharpness,
        accepted=not reason,
        reason=reason or "clear of noise and of random registrations",
    )


def _objective(
    picture: np.ndarray,
    factors: tuple[float, float],
    points: np.ndarray,
    unit: float,
    activity: np.ndarray | None,
    *,
    dense: bool,
) -> Objective:
    values = np.zeros(len(points)) if activity is None else activity
    if dense:
        points, values = binned(points, values)
    scene = make_scene(picture, factors, points, unit)
    return Footprint.of(scene) if activity is None else Activity.of(scene, values)


def _simplest(objective: Objective, found: Iterator[np.ndarray]) -> np.ndarray:
    """Last candidate that is clearly better than the one before; the identity if none is, or if it hardly moves."""
    best = next(found)
    for candidate in found:
        if objective.is_better(candidate, best):
            best = candidate
    points = objective.scene.points
    distance = np.linalg.norm(move(best, points) - points, axis=1).mean()
    return best if distance > MIN_MOVE and objective.is_better(best, np.eye(3)) else np.eye(3)


def _reason(found: np.ndarray, after: float, null: float) -> str:
    if np.array_equal(found, np.eye(3)):
        return "no registration is clearly better than the original coordinates"
    if after <= null:
        return f"its score {after:.3f} is not above that of random registrations, {null:.3f}"
    return ""


def _null(objective: Objective, rng: np.random.Generator) -> np.ndarray:
    """Scores of random registrations: any angle, the spots' center anywhere on the image."""
    points = objective.scene.points
    targets = rng.random((N_NULL, 2)) * objective.scene.size
    angles = rng.random(N_NULL) * 2 * np.pi
    moves = np.column_stack([targets - points.mean(axis=0), angles])
    return np.array([objective.score(placement(points, np.eye(3), parameters)) for parameters in moves])
