"""From scores per target to one number: targets within a slide, slides within a group, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._correlation import pearson
from spatialhist.metrics._shared.arrays import as_matrices
from spatialhist.metrics._shared.means import group_means, slide_means

MIN_GROUPS = 8  # below this an interval over groups says more than the data do


@dataclass(frozen=True)
class Summary:
    """Means of a score at every level, and how many values had to be left out."""

    score: float
    """Mean over groups."""
    groups: dict[str, float]
    """Mean over the slides of each group."""
    slides: dict[str, float]
    """Mean over the values of each slide."""
    left_out: dict[str, int]
    """Values that are NaN, by slide."""


class Wins(NamedTuple):
    """In how many groups one predictor scores better than, worse than or the same as another."""

    wins: int
    losses: int
    ties: int
    left_out: int


def within_slide_pearson(truth: ArrayLike, predicted: ArrayLike, slide: ArrayLike, group: ArrayLike) -> Summary:
    """Headline score: Pearson of every target within each slide, averaged target → slide → group.

    Parameters
    ----------
    truth
        Measured values of all slides, shape (n_spots, n_targets).
    predicted
        Predicted values, same shape; a target that is NaN throughout a slide is left out there.
    slide
        Slide of every spot, shape (n_spots,).
    group
        Group (patient or slide) of every spot, shape (n_spots,).

    Returns
    -------
    Summary
        The means; a constant prediction is scored 0, a constant truth is left out and counted.

    Raises
    ------
    ValueError
        If shapes differ, a slide lies in two groups, or a target has values in some spots of a slide only.

    Examples
    --------
    >>> truth = [[0.0], [2.0], [10.0], [12.0]]
    >>> slide, group = ["a", "a", "b", "b"], ["p", "p", "q", "q"]
    >>> within_slide_pearson(truth, [[1.0], [1.0], [11.0], [11.0]], slide, group).score
    0.0
    """
    matrices = as_matrices(truth=truth, predicted=predicted)
    n_spots, n_targets = matrices["truth"].shape
    slide, group = _labels(slide, n_spots), _labels(group, n_spots)
    group_of_slide = _group_of_slide(slide, group)
    scores = [pearson(*(matrix[slide == name] for matrix in matrices.values())) for name in group_of_slide]
    slides, groups = (np.repeat(list(names), n_targets) for names in (group_of_slide, group_of_slide.values()))
    return summarize(np.concatenate(scores), slides, groups)


def summarize(values: ArrayLike, slide: ArrayLike, group: ArrayLike) -> Summary:
    """Average values within each slide, slides within each group, and groups.

    Parameters
    ----------
    values
        Scores of one metric and one predictor, shape (n_values,), such as one per target and slide.
    slide
        Slide of every value.
    group
        Group of every value.

    Returns
    -------
    Summary
        The means; values that are NaN are left out and counted, slides and groups without any value are NaN
        and left out of the next mean.

    Raises
    ------
    ValueError
        If the lengths differ, or a slide lies in two groups.

    Examples
    --------
    >>> summary = summarize([0.2, 0.4, np.nan, 0.6, 0.9], ["a", "a", "a", "b", "c"], ["p", "p", "p", "p", "q"])
    >>> round(summary.score, 3), summary.left_out
    (0.675, {'a': 1, 'b': 0, 'c': 0})
    """
    scores = np.asarray(values, dtype=np.float64)
    slide, group = _labels(slide, scores.size), _labels(group, scores.size)
    # refuses a slide in two groups, which would be averaged as two slides
    _group_of_slide(slide, group)
    rows = pd.DataFrame({"group": group, "slide": slide, "value": scores})
    slides = slide_means(rows)
    groups = group_means(slides).sort_index()
    left_out = rows["value"].isna().groupby(rows["slide"]).sum()
    return Summary(
        float(groups.mean()), groups.to_dict(), slides.droplevel("group").sort_index().to_dict(), left_out.to_dict()
    )


def group_interval(values_by_group: Mapping[str, float], *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    r"""Interval of the mean over groups, by resampling groups.

    Parameters
    ----------
    values_by_group
        Score of every group, such as `Summary.groups`; groups that are NaN are left out.
    level
        Level of the interval.
    seed
        Seed of the resampling.

    Returns
    -------
    tuple[float, float]
        Lower and upper end.

    Raises
    ------
    ValueError
        If fewer than 8 groups have a value, or the level does not lie between 0 and 1.

    Notes
    -----
    Bootstrap percentiles of 10,000 resamples at :math:`\Phi(\mp\sqrt{n/(n-1)}\,t_{n-1})` with :math:`t` the quantile
    of Student's distribution at the level asked for (the expanded percentiles of Hesterberg, The American
    Statistician 2015): plain percentiles are too narrow for few groups.

    Examples
    --------
    >>> low, high = group_interval({f"p{i}": i / 10 for i in range(9)}, level=0.9)
    >>> low < 0.4 < high
    True
    """
    values = np.array([value for value in values_by_group.values() if not np.isnan(value)])
    if values.size < MIN_GROUPS:
        raise ValueError(
            f"an interval needs at least {MIN_GROUPS} groups, found {values.size}; "
            "show the score of every group and paired_wins instead"
        )
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, found {level}")
    from scipy import stats

    # a bootstrap of few values is too narrow: its quantiles are widened to those of Student's t
    quantile = stats.t.ppf((1 + level) / 2, values.size - 1) * np.sqrt(values.size / (values.size - 1))
    # with 10,000 resamples the ends move from seed to seed by about 3 % of the standard error
    picks = np.random.default_rng(seed).integers(values.size, size=(10_000, values.size))
    low, high = np.quantile(values[picks].mean(axis=1), stats.norm.cdf([-quantile, quantile]))
    return float(low), float(high)


def paired_wins(a: Mapping[str, float], b: Mapping[str, float], *, lower_is_better: bool = False) -> Wins:
    """Count the groups in which predictor `a` scores better than, worse than and the same as `b`.

    Parameters
    ----------
    a
        Score of every group.
    b
        Score of the same groups.
    lower_is_better
        Whether the lower score wins, as of errors.

    Returns
    -------
    Wins
        The counts; groups where either is NaN are left out and counted.

    Raises
    ------
    ValueError
        If the groups differ.

    Examples
    --------
    >>> paired_wins({"A": 0.3, "B": 0.1, "C": 0.2}, {"A": 0.1, "B": 0.2, "C": 0.1})
    Wins(wins=2, losses=1, ties=0, left_out=0)
    """
    if a.keys() != b.keys():
        raise ValueError(f"groups differ: {sorted(a)} and {sorted(b)}; score both predictors on the same groups")
    better, worse = (b, a) if lower_is_better else (a, b)
    difference = np.array([better[name] - worse[name] for name in a])
    # three comparisons, since a NaN is neither better, worse nor equal
    counts = (difference > 0, difference < 0, difference == 0, np.isnan(difference))
    return Wins(*(int(np.count_nonzero(where)) for where in counts))


def _labels(labels: ArrayLike, n: int) -> NDArray[np.str_]:
    names = np.asarray(labels).astype(str)
    if names.shape != (n,):
        raise ValueError(f"expected one slide and one group for each of {n} rows, found shape {names.shape}")
    return names


def _group_of_slide(slide: NDArray[np.str_], group: NDArray[np.str_]) -> dict[str, str]:
    pairs = np.unique(np.stack([slide, group]), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"slides lie in more than one group: {names[counts > 1].tolist()}")
    return dict(zip(*pairs.tolist(), strict=True))
