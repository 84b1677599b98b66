"""How far apart neighbors on a lattice are; pure arrays.

Space Ranger numbers the spots of Visium's hexagonal array so that neighbors in a row are two columns apart, and bins of
Visium HD, the square array of Spatial Transcriptomics and laid-out pseudo-spots so that they are one apart.
"""

from __future__ import annotations

import numpy as np

HEXAGON = np.sqrt(3)
"""Distance of rows over that of columns in a hexagonal array, whose rows skip every other column."""
TOLERANCE = 0.1
"""Share by which steps may differ from a perfect lattice: spots are placed by hand or by an alignment."""
TOUCHING = 0.01
"""Share by which distance and diameter may differ for circles to touch: spots of Visium are 45 % apart."""
SIDES_OF_SQUARE = 4
SKIPPING = np.array([[1, 1], [1, -1]])
"""Steps in rows and columns to neighbors, where every other column of a row is empty."""
STEPS_TRIED = 2000
"""Of all steps from the first spot, evenly spread: a few already generate the lattice."""


def lattice_pitch(xy: np.ndarray) -> float | None:
    """Distance between neighbors on a lattice: the median distance to the nearest other point."""
    from scipy.spatial import cKDTree

    # spots at one place would be neighbors at distance 0
    points = np.unique(xy[np.isfinite(xy).all(axis=1)], axis=0)
    if len(points) < 2:
        return None
    distance, _ = cKDTree(points).query(points, k=2)
    return float(np.median(distance[:, 1]))


def covered_area(xy: np.ndarray, diameter: float) -> float | None:
    """Area that each spot stands for where spots cover the plane: bins, or pooled spots, held as circles that touch.

    Parameters
    ----------
    xy
        Spot centers ``(n, 2)``.
    diameter
        Of the circles.

    Returns
    -------
    float | None
        Of the square or hexagon around a circle; None where circles leave gaps or overlap.
    """
    from scipy.spatial import cKDTree

    points = xy[np.isfinite(xy).all(axis=1)]
    if len(points) < 2:
        return None
    tree = cKDTree(points)
    some = points[np.linspace(0, len(points) - 1, min(len(points), STEPS_TRIED)).astype(int)]
    pitch = np.median(tree.query(some, k=2)[0][:, 1])
    if abs(pitch / diameter - 1) > TOUCHING:
        return None
    # a square has its next neighbors at 1.41 spacings, a hexagon at 1.73; at the border there are fewer of both
    neighbors = np.percentile(tree.query_ball_point(some, 1.2 * pitch, return_length=True) - 1, 75)
    return float(diameter**2 * (1.0 if neighbors <= SIDES_OF_SQUARE else HEXAGON / 2))


def array_pitch(position: np.ndarray, xy: np.ndarray) -> float | None:
    """Distance between neighbors on an array whose spots are numbered.

    Unlike the distance to the nearest spot it holds where only some spots are left.

    Parameters
    ----------
    position
        Row and column of each spot ``(n, 2)``.
    xy
        Spot centers ``(n, 2)``.

    Returns
    -------
    float | None
        None where spots do not lie where a straight array of these rows and columns would have them.
    """
    known = np.isfinite(position).all(axis=1) & np.isfinite(xy).all(axis=1)
    whole = np.rint(position[known]).astype(int)
    if not known.any() or not np.array_equal(whole, position[known]):
        return None
    design = np.column_stack([whole, np.ones(len(whole))])
    step, _, rank, _ = np.linalg.lstsq(design, xy[known], rcond=None)
    length = np.linalg.norm(step[:2], axis=1)
    error = np.sqrt(((xy[known] - design @ step) ** 2).sum(axis=1).mean())
    # spots of one row or column span no lattice
    if rank < 3 or error > TOLERANCE * length.min():
        return None
    basis = SKIPPING if _skips(length, whole) else _generated(whole)
    return _shortest(basis @ step[:2])


def _skips(length: np.ndarray, position: np.ndarray) -> bool:
    """Whether every other column of a row is empty, and rows and columns have the proportions of hexagons."""
    parities = np.unique(position.sum(axis=1) % 2)
    return len(parities) == 1 and bool(abs(length.max() / length.min() / HEXAGON - 1) < TOLERANCE)


def _generated(position: np.ndarray) -> np.ndarray:
    """Basis ``(2, 2)`` of all steps in rows and columns that lead from one spot to where another may be."""
    steps = np.unique(position - position[0], axis=0)
    basis = np.zeros((2, 2), dtype=int)
    for step in steps[np.linspace(0, len(steps) - 1, min(len(steps), STEPS_TRIED)).astype(int)]:
        basis = _with_step(basis, step)
    return basis


def _with_step(basis: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Basis of what a triangular basis and one more step generate, triangular again."""
    first, second = basis
    while step[0]:
        first, step = step, first - first[0] // step[0] * step
    return np.array([first, [0, np.gcd(second[1], step[1])]])


def _shortest(basis: np.ndarray) -> float:
    """Length of the shortest step of a lattice, by Gauss's reduction."""
    short, long = sorted(basis, key=np.linalg.norm)
    while True:
        long = long - np.rint(long @ short / (short @ short)) * short
        # two steps of one length would change places for ever
        if np.linalg.norm(long) >= np.linalg.norm(short) * (1 - 1e-9):
            return float(np.linalg.norm(short))
        short, long = long, short
