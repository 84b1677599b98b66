"""Registration of spots to tissue; pure arrays.

The score of a placement is the overlap of the spots' footprint with the tissue (Dice). A spot stands for its cell of the
lattice, so the overlap is the sum, over spots, of the tissue smoothed over about a cell. Lengths are in units: a pitch,
or a bin where there are too many spots. Placements are 3x3 matrices that act on (x, y) in units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage as ndi
from scipy.optimize import minimize
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

Model = Literal["translation", "rigid", "similarity"]

STEPS = 6
"""Grid pixels per unit, at least."""
BLUR = 0.3
"""Smoothing of the tissue: about the radius of a spot."""
MAX_ACROSS = 80
"""More spots than this across are binned."""
ANGLES = np.deg2rad(np.arange(-12.0, 12.1, 1.5))
"""Rotations of the coarse search."""
N_START = 4
"""Coarse placements that are refined."""
MAX_STRETCH = 0.1
N_NULL = 200
NULL_QUANTILE = 0.99
MIN_Z = 1.0
"""A gain must be this many times its standard error over blocks of spots."""
BLOCK = 4.0
"""Side of these blocks: neighbouring spots gain together."""
MIN_MOVE = 0.25
"""Moves below this, as a mean over spots, are within the error of the method."""
MIN_SHARPNESS = 0.3
"""How steeply the score must fall on every side of the optimum, against a tissue of exactly the spots' outline."""

MIN_CONTRAST = 0.1
"""The same where activity counts: pale spots within the tissue lower it; random activity leaves about 0."""


@dataclass(frozen=True)
class Registration:
    """Where spots belong.

    Attributes
    ----------
    matrix
        3x3, in pixels, on (x, y); the identity unless accepted.
    score_before, score_after
        Overlap with the tissue at the given and at the best placement.
    null, null_scores
        Quantile of the overlaps of random placements, and all of them, sorted.
    sharpness
        Fall of the score when the best placement is moved by a unit to the flattest side, relative to a tissue of
        exactly the spots' outline: 1 is well defined, 0 is not defined at all.
    accepted
        Whether the best placement is clear of noise.
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


@dataclass(frozen=True)
class _Scene:
    """Spots and smoothed tissue.

    Attributes
    ----------
    field
        Smoothed tissue ``(y, x)``.
    per_unit
        Field pixels per unit, ``(x, y)``.
    points, weights
        Spots or bins of spots in units ``(n, 2)``, and what each counts; those below 0 are pushed off the tissue.
    spot_area, tissue_area
        Area of a spot's cell and of the tissue in square units.
    size
        Width and height of the image in units.
    """

    field: np.ndarray
    per_unit: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    spot_area: float
    tissue_area: float
    size: np.ndarray

    @property
    def has_inactive(self) -> bool:
        """Whether there are spots to be pushed off: the tissue's edge is then seen from both sides."""
        return bool((self.weights < 0).any())


def register(
    tissue: np.ndarray,
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
    tissue
        How much tissue there is, 0 to 1, ``(y, x)``.
    factors
        Pixels per tissue pixel, ``(x, y)``.
    xy
        Spot centres ``(n, 2)`` in pixels.
    pitch
        Distance of neighbouring spots in pixels.
    model
        What may change.
    orientations
        Also try flips and quarter turns, anywhere on the image.
    max_shift
        Range of the search in pitches, in x and in y.
    activity
        From 1, a spot on tissue, over 0, half on it, to -1, a spot to be pushed off the tissue. All are 1 if None.
    seed
        Draws the random placements.
    """
    unit = max(pitch, float(np.ptp(xy, axis=0).max()) / MAX_ACROSS)
    scene = _scene(tissue, factors, xy, pitch, unit, activity)
    reach = max_shift * pitch / unit
    found = _simplest(scene, _candidates(scene, model, orientations, reach))
    before, after = _score(scene, np.eye(3)), _score(scene, found)
    null_scores = np.sort(_null(scene, np.random.default_rng(seed)))
    null = float(np.quantile(null_scores, NULL_QUANTILE))
    sharpness = _sharpness(scene, found)
    objection = _objection(found, after, null, sharpness, MIN_CONTRAST if scene.has_inactive else MIN_SHARPNESS)
    scale = np.diag([unit, unit, 1.0])
    return Registration(
        matrix=np.eye(3) if objection else scale @ found @ np.linalg.inv(scale),
        score_before=before,
        score_after=after,
        null=null,
        null_scores=null_scores,
        sharpness=sharpness,
        accepted=not objection,
        reason=objection or "clear of noise and of random placements",
    )


def _simplest(scene: _Scene, candidates: Iterator[np.ndarray]) -> np.ndarray:
    """Last candidate that is clearly better than the one before; the identity if none is, or if it hardly moves."""
    found = next(candidates)
    for candidate in candidates:
        if _is_clear(scene, found, candidate):
            found = candidate
    move = np.linalg.norm(_apply(found, scene.points) - scene.points, axis=1).mean()
    return found if move > MIN_MOVE and _is_clear(scene, np.eye(3), found) else np.eye(3)


def _objection(found: np.ndarray, after: float, null: float, sharpness: float, least: float) -> str:
    if np.array_equal(found, np.eye(3)):
        return "no placement is clearly better than the reader's"
    if after <= null:
        return f"its overlap {after:.3f} is not above that of random placements, {null:.3f}"
    if sharpness < least:
        return f"the tissue's outline does not fix the placement (sharpness {sharpness:.2f} < {least})"
    return ""


def _scene(
    tissue: np.ndarray,
    factors: tuple[float, float],
    xy: np.ndarray,
    pitch: float,
    unit: float,
    activity: np.ndarray | None,
) -> _Scene:
    shrink = max(1, int(unit / STEPS / max(factors)))
    small = _block_mean(tissue, shrink)
    per_unit = unit / (np.array(factors) * shrink)
    weights = np.ones(len(xy)) if activity is None else activity
    points, weights = (xy / unit, weights) if unit == pitch else _binned(xy / unit, weights)
    covered = _footprint(points[weights > 0], per_unit, small.shape).sum() / per_unit.prod()
    return _Scene(
        field=_smooth(small, per_unit),
        per_unit=per_unit,
        points=points,
        weights=weights,
        spot_area=float(covered / weights[weights > 0].sum()),
        tissue_area=float(small.sum() / per_unit.prod()),
        size=np.array(small.shape[::-1]) / per_unit,
    )


def _block_mean(tissue: np.ndarray, k: int) -> np.ndarray:
    """Average k x k pixels; what does not fill a block counts as empty."""
    padded = np.pad(tissue.astype(np.float32), [(0, -n % k) for n in tissue.shape])
    height, width = (n // k for n in padded.shape)
    return padded.reshape(height, k, width, k).mean(axis=(1, 3))


def _smooth(tissue: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    return ndi.gaussian_filter(tissue.astype(np.float32), BLUR * per_unit[::-1], mode="constant")


def _binned(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One point per occupied unit square: mean position and mean weight."""
    _, square = np.unique(np.floor(points).astype(np.int64), axis=0, return_inverse=True)
    n = np.bincount(square)
    mean = np.column_stack([np.bincount(square, column) for column in points.T]) / n[:, None]
    return mean, np.bincount(square, weights) / n


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def _values(field: np.ndarray, per_unit: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Field at points in units, 0 outside the image."""
    x, y = (points * per_unit - 0.5).T
    return ndi.map_coordinates(field, [y, x], order=1, mode="constant")


def _shares(scene: _Scene, matrix: np.ndarray) -> np.ndarray:
    """Contribution of each spot to the score of a placement."""
    area = scene.spot_area * abs(np.linalg.det(matrix[:2, :2]))
    overlap = area * scene.weights * _values(scene.field, scene.per_unit, _apply(matrix, scene.points))
    return 2 * overlap / (scene.tissue_area + area * scene.weights[scene.weights > 0].sum())


def _score(scene: _Scene, matrix: np.ndarray) -> float:
    return float(_shares(scene, matrix).sum())


def _is_clear(scene: _Scene, old: np.ndarray, new: np.ndarray) -> bool:
    """Whether a placement gains more than noise."""
    gain = _shares(scene, new) - _shares(scene, old)
    _, block = np.unique(np.floor(scene.points / BLOCK).astype(np.int64), axis=0, return_inverse=True)
    sums = np.bincount(block, gain)
    return bool(sums.sum() > MIN_Z * np.std(sums) * np.sqrt(len(sums)))


def _candidates(scene: _Scene, model: Model, orientations: bool, reach: float) -> Iterator[np.ndarray]:
    """Best placement of each model, from simple to complex, then of each flip and quarter turn."""
    freedom = {"translation": 2, "rigid": 3, "similarity": 4}[model]
    for n in range(2, freedom + 1):
        yield _best(scene, np.eye(3), n, reach)
    if orientations:
        for turn in _turns(scene.size):
            yield _best(scene, turn, freedom, np.inf)


def _turns(size: np.ndarray) -> list[np.ndarray]:
    """Flips and quarter turns that carry the image, or the image on its side, onto itself."""
    width, height = size
    found = []
    for swap in (False, True):
        for flip_x in (False, True):
            for flip_y in (False, True):
                base = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]) if swap else np.eye(3)
                flip = np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0, 1.0])
                flip[:2, 2] = [width * flip_x, height * flip_y]
                found.append(flip @ base)
    return found[1:]


def _best(scene: _Scene, turn: np.ndarray, freedom: int, reach: float) -> np.ndarray:
    """Coarse search by FFT over shifts at each angle, then local refinement of the best."""
    angles = np.zeros(1) if freedom == 2 else ANGLES
    starts = sorted((_best_shift(scene, turn, angle, reach) for angle in angles), reverse=True)[:N_START]
    refined = [_refine(scene, turn, np.array(start[1:]), freedom, reach) for start in starts]
    return max(refined, key=lambda matrix: _score(scene, matrix))


def _placement(points: np.ndarray, turn: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Turn, then rotate and stretch about the spots' centre, then shift; ``move`` is dx, dy, angle, log stretch."""
    dx, dy, angle, stretch = (*move, 0.0, 0.0)[:4]
    center = _apply(turn, points).mean(axis=0)
    linear = np.exp(stretch) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = center + [dx, dy] - linear @ center
    return matrix @ turn


def _best_shift(scene: _Scene, turn: np.ndarray, angle: float, reach: float) -> tuple[float, float, float, float]:
    """Score, dx, dy and angle of the best shift at an angle."""
    placed = _apply(_placement(scene.points, turn, np.array([0, 0, angle])), scene.points)
    cells = np.round((placed * scene.per_unit - 0.5)[:, ::-1]).astype(np.int64)
    origin = cells.min(axis=0)
    shape = tuple(cells.max(axis=0) - origin + 1)
    raster = np.zeros(shape)
    np.add.at(raster, tuple((cells - origin).T), scene.weights)
    overlap = fftconvolve(scene.field, raster[::-1, ::-1])
    zero = origin + shape - 1
    limit = reach * scene.per_unit[::-1]
    low = np.maximum(np.ceil(zero - limit), 0).astype(int) if np.isfinite(reach) else np.zeros(2, int)
    high = np.minimum(zero + limit + 1, overlap.shape).astype(int)
    window = overlap[low[0] : high[0], low[1] : high[1]]
    if window.size == 0:
        return -np.inf, 0.0, 0.0, float(angle)
    best = np.unravel_index(window.argmax(), window.shape)
    dy, dx = (low + best - zero) / scene.per_unit[::-1]
    return float(window[best]), float(dx), float(dy), float(angle)


def _refine(scene: _Scene, turn: np.ndarray, start: np.ndarray, freedom: int, reach: float) -> np.ndarray:
    """Nelder-Mead in which every parameter moves the spots by about as much."""
    radius = np.sqrt(((scene.points - scene.points.mean(axis=0)) ** 2).sum(axis=1).mean())
    scales = np.array([1, 1, 1 / radius, 1 / radius])[:freedom]
    initial = np.append(start, 0.0)[:freedom] / scales
    limits = np.array([reach + 0.5, reach + 0.5, 1.25 * ANGLES[-1] * radius, MAX_STRETCH * radius])[:freedom]

    def loss(move: np.ndarray) -> float:
        if (np.abs(move) > limits).any():
            return np.inf
        return -_score(scene, _placement(scene.points, turn, move * scales))

    simplex = initial + np.vstack([np.zeros(freedom), 0.5 * np.eye(freedom)])
    options = {"initial_simplex": simplex, "xatol": 0.01, "fatol": 1e-6, "maxiter": 200}
    found = minimize(loss, initial, method="Nelder-Mead", options=options)
    return _placement(scene.points, turn, found.x * scales)


def _null(scene: _Scene, rng: np.random.Generator) -> np.ndarray:
    """Scores of random placements: any angle, the spots' centre anywhere on the image."""
    center = scene.points.mean(axis=0)
    targets = rng.random((N_NULL, 2)) * scene.size
    angles = rng.random(N_NULL) * 2 * np.pi
    moves = np.column_stack([targets - center, angles])
    return np.array([_score(scene, _placement(scene.points, np.eye(3), move)) for move in moves])


def _sharpness(scene: _Scene, matrix: np.ndarray) -> float:
    """Smallest fall of the score over eight directions, relative to a tissue as the spots describe it."""
    placed = _apply(matrix, scene.points)
    ideal = _smooth(_described(scene, placed), scene.per_unit)
    angles = np.arange(8) * np.pi / 4
    directions = np.column_stack([np.cos(angles), np.sin(angles)])

    def falls(field: np.ndarray) -> np.ndarray:
        scores = [
            scene.weights @ _values(field, scene.per_unit, placed + shift) for shift in (np.zeros(2), *directions)
        ]
        return scores[0] - np.array(scores[1:])

    expected = falls(ideal)
    return float((falls(scene.field) / np.maximum(expected, 1e-9)).min()) if (expected > 0).all() else 0.0


def _described(scene: _Scene, placed: np.ndarray) -> np.ndarray:
    """Tissue on a grid ``(y, x)``: the footprint itself; with inactive spots, what the nearest spot says.

    Beyond the edge of such a lattice tissue goes on, so an edge of the lattice fixes nothing.
    """
    if not scene.has_inactive:
        return _footprint(placed, scene.per_unit, scene.field.shape)
    row, column = np.indices(scene.field.shape)
    pixels = np.column_stack([column.ravel() + 0.5, row.ravel() + 0.5]) / scene.per_unit
    nearest = cKDTree(placed).query(pixels)[1]
    return (scene.weights[nearest] > 0).reshape(scene.field.shape)


def _footprint(points: np.ndarray, per_unit: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Union of the spots' cells on a grid ``(y, x)``."""
    column, row = np.round(points * per_unit - 0.5).astype(np.int64).T
    inside = (column >= 0) & (row >= 0) & (column < shape[1]) & (row < shape[0])
    grid = np.zeros(shape, dtype=np.float32)
    grid[row[inside], column[inside]] = per_unit.prod()
    return ndi.gaussian_filter(grid, 0.6 * per_unit[::-1], mode="constant") > 0.5
