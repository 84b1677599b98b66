"""The similarity transformation (shift, turn, scale, mirror) that most pairs of points agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TRIALS = 400
"""Pairs of matches that a transformation is guessed from."""
MIN_APART = 0.05
"""Distance of the two, as a share of the spread of all matches: closer ones say little of turn and scale."""
MAX_SCALE = 6.0
"""Factor between the sizes of two pictures, either way."""
MAX_BATCH = 2_000_000
"""Distances in memory at once."""


@dataclass(frozen=True)
class Agreement:
    """A transformation and the matches that agree with it.

    Attributes
    ----------
    inliers
        Boolean per match.
    scale, shift
        Complex factor and shift from points of the first picture, ``x + iy``, to those of the second.
    """

    inliers: np.ndarray
    scale: complex
    shift: complex

    @property
    def n(self) -> int:
        """How many matches agree."""
        return int(self.inliers.sum())

    def to_second(self, points: np.ndarray) -> np.ndarray:
        """Points of the first picture in the second."""
        return self.scale * points + self.shift

    def to_first(self, points: np.ndarray) -> np.ndarray:
        """Points of the second picture in the first."""
        return (points - self.shift) / self.scale


def agree(a: np.ndarray, b: np.ndarray, tolerance: float, *, seed: int = 0) -> Agreement | None:
    """Find the transformation from points ``a`` to ``b`` (complex, matched one to one) with the most inliers.

    Parameters
    ----------
    a, b
        Complex positions ``x + iy`` of the matches.
    tolerance
        Distance in the second picture up to which a match agrees.
    seed
        Of the guesses, so that the same matches give the same answer.
    """
    # two matches fix shift, turn and scale, so that they always agree: the third is the first to say something
    if len(a) < 3:
        return None
    scale, shift = _guesses(a, b, np.random.default_rng(seed))
    if not len(scale):
        return None
    found = np.concatenate([_count(a, b, scale[part], shift[part], tolerance) for part in _batches(len(scale), len(a))])
    best = int(np.argmax(found))
    agreed = _refine(
        a, b, Agreement(_close(a, b, scale[best], shift[best], tolerance), scale[best], shift[best]), tolerance
    )
    return agreed if agreed.n >= 3 else None


def _guesses(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Transformations by two matches each."""
    first, second = rng.integers(0, len(a), (2, TRIALS))
    extent = max(np.ptp(a.real), np.ptp(a.imag))
    apart = np.abs(a[first] - a[second]) > max(MIN_APART * extent, 1e-9)
    first, second = first[apart], second[apart]
    scale = (b[first] - b[second]) / (a[first] - a[second])
    # a scale that no pair of overviews has comes from a wrong match
    plausible = (np.abs(scale) < MAX_SCALE) & (np.abs(scale) > 1 / MAX_SCALE)
    return scale[plausible], (b[first] - scale * a[first])[plausible]


def _batches(guesses: int, matches: int) -> list[slice]:
    size = max(1, MAX_BATCH // matches)
    return [slice(start, start + size) for start in range(0, guesses, size)]


def _count(a: np.ndarray, b: np.ndarray, scale: np.ndarray, shift: np.ndarray, tolerance: float) -> np.ndarray:
    return (np.abs(scale[:, None] * a + shift[:, None] - b) < tolerance).sum(axis=1)


def _close(a: np.ndarray, b: np.ndarray, scale: complex, shift: complex, tolerance: float) -> np.ndarray:
    return np.abs(scale * a + shift - b) < tolerance


def _refine(a: np.ndarray, b: np.ndarray, guess: Agreement, tolerance: float) -> Agreement:
    """Fit the transformation to its inliers by least squares, twice; the better one stays."""
    for _ in range(2):
        x, y = a[guess.inliers], b[guess.inliers]
        if len(x) < 3:
            return guess
        centered = x - x.mean()
        spread = (np.abs(centered) ** 2).sum()
        if not spread > 0:
            return guess
        scale = (np.conj(centered) * (y - y.mean())).sum() / spread
        shift = y.mean() - scale * x.mean()
        fitted = Agreement(_close(a, b, scale, shift, tolerance), scale, shift)
        # a fit to the inliers may lose some of them; the guess with more stays
        if fitted.n < guess.n:
            return guess
        guess = fitted
    return guess
