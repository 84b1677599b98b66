"""Widths of intervals from residuals of groups that were held out."""

from __future__ import annotations

import math

import numpy as np

# of levels such as 0.8, which no float holds exactly
_TOLERANCE = 1e-9


def groups_needed(level: float) -> int:
    """Fewest groups, besides the evaluated one, that an interval of this level can be taken from.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    return math.ceil(level / (1 - level) - _TOLERANCE)


def group_radius(errors: np.ndarray, group: np.ndarray, level: float) -> np.ndarray:
    """Half width of intervals that cover a spot of a further group with a probability of ``level``.

    Parameters
    ----------
    errors
        Absolute residuals ``(spots, genes)``; NaN where a gene was not predicted.
    group
        Group of every spot, all of which were predicted without it.
    level
        Between 0 and 1.

    Returns
    -------
    ndarray
        ``(genes,)``; NaN for a gene that fewer groups predicted than the level needs.

    Notes
    -----
    Hierarchical conformal prediction (Lee, Barber and Willett, arXiv:2306.06342): each of K groups weighs 1 / (K + 1),
    shared by its spots, and the group to come is given the same weight at infinity. The radius is the smallest that
    covers a weight of ``level``; over exchangeable groups, coverage is at least ``level`` however alike the spots of a
    group are, and exceeds it by up to about 1 / (K + 1).
    """
    _, code = np.unique(group, return_inverse=True)
    return np.array([_radius(column, code, level) for column in errors.T])


def _radius(errors: np.ndarray, code: np.ndarray, level: float) -> float:
    known = np.isfinite(errors)
    values, code = errors[known], code[known]
    sizes = np.bincount(code)
    n_groups = np.count_nonzero(sizes)
    if n_groups < groups_needed(level):
        return np.nan
    order = np.argsort(values, kind="stable")
    covered = np.cumsum(1 / ((n_groups + 1) * sizes[code[order]]))
    # weights add up to K / (K + 1): where rounding keeps them just below the level, the largest error is taken
    return float(values[order][min(np.searchsorted(covered, level - _TOLERANCE), len(values) - 1)])


def coverage(errors: np.ndarray, group: np.ndarray, radius: dict[str, np.ndarray]) -> dict[str, float]:
    """Share of the values of each group that its intervals cover; NaN where it has none."""
    return {g: _share(errors[group == g], r) for g, r in radius.items()}


def _share(errors: np.ndarray, radius: np.ndarray) -> float:
    known = np.isfinite(errors) & np.isfinite(radius)
    return float((errors <= radius)[known].mean()) if known.any() else float("nan")
