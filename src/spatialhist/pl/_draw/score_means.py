"""Means of a score table, as plots show them."""

from __future__ import annotations

import pandas as pd

from spatialhist.tl._scores.means import gene_means, group_means, rows_of
from spatialhist.tl._scores.metrics import HEADLINE
from spatialhist.tl._scores.summarize import summarize

SHORT_BOUND = "a lower bound of what is learned about genes"
"""What stands beside the score beyond depth where there is little space."""


def dots(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean of every predictor in every group: predictor, kind, group, value."""
    means = group_means(rows_of(scores, metric)).reset_index()
    return means.melt(["predictor", "kind"], var_name="group")


def target_means(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Means over slides, then groups: targets x predictors."""
    rows = rows_of(scores, metric)
    return pd.DataFrame({p: gene_means(rows, p).mean(axis=1) for p in rows["predictor"].unique()})


def means_beyond_depth(scores: pd.DataFrame, metric: str) -> pd.Series:
    """Mean beyond depth of every predictor, what stands beside the headline; empty for other metrics and where it is unknown."""
    return summarize(scores)["beyond_depth"].dropna() if metric == HEADLINE else pd.Series(dtype=float)


def best_predictor(scores: pd.DataFrame, metric: str) -> str:
    """Stack, else the model with the best mean."""
    summary = summarize(scores, metric=metric)
    trained = summary.index[summary["kind"].isin(["stack", "model"])]
    if trained.empty:
        raise KeyError(
            f"no model or stack in the scores; found {sorted(scores['predictor'].unique())}: pass predictor="
        )
    return str(trained[0])
