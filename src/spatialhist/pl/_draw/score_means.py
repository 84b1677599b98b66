"""Means of a score table, as plots show them."""

from __future__ import annotations

import pandas as pd

from spatialhist.tl._scores.means import gene_means, group_means, rows_of
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, HEADLINE, named

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
    part = scores[(scores["metric"] == BEYOND_DEPTH) & (scores["slide"] != "all")]
    if metric != HEADLINE or part["value"].isna().all():
        return pd.Series(dtype=float)
    return group_means(part, ["predictor"]).mean(axis=1).dropna()


def best_predictor(scores: pd.DataFrame, metric: str) -> str:
    """Stack, else the model with the best mean."""
    means = group_means(rows_of(scores, metric)).mean(axis=1)
    for kind in ("stack", "model"):
        if kind in means.index.get_level_values("kind"):
            of_kind = means.xs(kind, level="kind")
            return str(of_kind.idxmin() if named(metric).lower_is_better else of_kind.idxmax())
    raise KeyError(f"no model or stack in the scores; found {sorted(scores['predictor'].unique())}: pass predictor=")
