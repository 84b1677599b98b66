"""Paired differences over groups: an exact test and an exact interval that assume as little as three patients allow."""

from __future__ import annotations

import itertools

import numpy as np

SUBSETS = 2**16
"""Sign flips that are enumerated, those of 16 groups; of more groups so many are drawn at random."""


def smallest_p(n: int) -> float:
    """Smallest two-sided p value that the sign-flip test of so many groups can reach."""
    return min(1.0, 2 / 2**n)


def groups_for(alpha: float) -> int:
    """Fewest groups of which a difference can be significant."""
    return next(n for n in itertools.count(1) if smallest_p(n) <= alpha)


def sign_flip_p(differences: np.ndarray, *, seed: int = 0) -> float:
    """Two-sided p value of the mean of paired differences ``(n,)``.

    Where two predictors are equally good, the difference of a group has either sign with the same probability. All 2^n
    combinations of signs are counted, or as many as :data:`SUBSETS` where there are more.
    """
    from scipy import stats

    if len(differences) < 2:
        return 1.0
    rng = np.random.default_rng(seed)
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, n_resamples=SUBSETS, rng=rng
    )
    return float(test.pvalue)


def mean_interval(differences: np.ndarray, level: float, *, seed: int = 0) -> tuple[float, float, float]:
    """Interval of the center of paired differences ``(n,)``, and the level that it has.

    It holds the values that the sign-flip test does not reject (Hartigan, JASA 1969): around the center of a symmetric
    distribution the means of all 2^n - 1 subsets of the differences cut the line into 2^n pieces of equal probability.
    With few groups the widest interval, from the smallest to the largest difference, has a lower level than was asked for.

    Returns
    -------
    tuple[float, float, float]
        Low, high and level; NaN and 0 for a single group.
    """
    n = len(differences)
    if n < 2:
        return float("nan"), float("nan"), 0.0
    means = np.sort(_subset_means(differences, seed))
    pieces = len(means) + 1
    # as (1 - 0.95) / 2 * 40 is not quite 1 in floating point
    left_out = max(1, int((1 - level) / 2 * pieces + 1e-9))
    return float(means[left_out - 1]), float(means[-left_out]), 1 - 2 * left_out / pieces


def _subset_means(differences: np.ndarray, seed: int) -> np.ndarray:
    """Means of all subsets but the empty one; of as many drawn ones where there are too many."""
    n = len(differences)
    if 2**n <= SUBSETS:
        picked = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (SUBSETS - 1, n))
        picked = drawn[drawn.any(axis=1)]
    return picked @ differences / picked.sum(axis=1)
