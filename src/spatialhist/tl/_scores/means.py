"""Means of a table of scores: genes, then slides, then groups."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from spatialhist.metrics._shared import means
from spatialhist.tl._scores.metrics import HEADLINE


def rows_of(scores: pd.DataFrame, metric: str = HEADLINE) -> pd.DataFrame:
    """Scores within slides by one metric.

    Raises
    ------
    KeyError
        If the table does not hold the metric.
    """
    part = scores[(scores["metric"] == metric) & (scores["slide"] != "all")]
    if part.empty:
        raise KeyError(f"no metric {metric!r} in the scores; found {sorted(scores['metric'].unique())}")
    return part


def group_means(rows: pd.DataFrame, by: Sequence[str] = ("predictor", "kind")) -> pd.DataFrame:
    """Average within slides, then over the slides of each group; a group counts the same, however many slides it has.

    Parameters
    ----------
    rows
        Scores by one metric.
    by
        What is kept apart.

    Returns
    -------
    pandas.DataFrame
        One row for each of what is kept apart, a column a group. Their mean is the headline.
    """
    return means.group_means(means.slide_means(rows, by)).unstack("group")


def gene_means(rows: pd.DataFrame, predictor: str) -> pd.DataFrame:
    """Average each gene of one predictor over the slides of a group: one row per gene, one column per group."""
    mine = rows[(rows["predictor"] == predictor) & (rows["target"] != "")]
    return group_means(mine, ["target"])
