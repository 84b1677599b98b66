"""Means of a score table, as plots show them."""

from __future__ import annotations

import pandas as pd

from spatialhist.tl._scores.means import gene_means, group_means, rows_of
from spatialhist.tl._scores.metrics import named


def dots(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean of every predictor in every group: predictor, kind, group, value."""
    means = group_means(rows_of(scores, metric)).reset_index()
    return means.melt(["predictor", "kind"], var_name="group")


def target_means(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Means over slides, then groups: targets x predictors."""
    rows = rows_of(scores, metric)
    return pd.DataFrame({p: gene_means(rows, p).mean(axis=1) for p in rows["predictor"].unique()})


def best_predictor(scores: pd.DataFrame, metric: str) -> str:
    """Stack, else the model with the best mean."""
    means = group_means(rows_of(scores, metric)).mean(axis=1)
    for kind in ("stack", "model"):
        if kind in means.index.get_level_values("kind"):
            of_kind = means.xs(kind, level="kind")
            return str(of_kind.idxmin() if named(metric).lower_is_better else of_kind.idxmax())
    raise KeyError(f"no model or stack in the scores; found {sorted(scores['predictor'].unique())}: pass predictor=")
