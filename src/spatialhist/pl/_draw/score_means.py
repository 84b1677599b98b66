"""Means of a score table, level by level."""

from __future__ import annotations

import pandas as pd

LABELS = {
    "pearson": "within-slide Pearson r",
    "spearman": "within-slide Spearman ρ",
    "spot_spearman": "per-spot Spearman ρ",
    "r2": "R²",
    "rmse": "RMSE",
    "ssim": "structural similarity",
    "variance_ratio": "variance of the prediction / of the truth",
    "moran_agreement": "agreement of Moran's I",
}


def label_of(metric: str) -> str:
    """Name of a metric for a label."""
    return LABELS.get(metric, metric)


def rows_of(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
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


def group_means(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Means over targets, then slides: predictor, kind, group, value."""
    slides = rows_of(scores, metric).groupby(["predictor", "kind", "group", "slide"], sort=False)["value"].mean()
    return slides.groupby(level=["predictor", "kind", "group"], sort=False).mean().reset_index()


def target_means(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Means over slides, then groups: targets x predictors."""
    part = rows_of(scores, metric)
    part = part[part["target"] != ""]
    groups = part.groupby(["target", "predictor", "group"], sort=False)["value"].mean()
    return groups.groupby(level=["target", "predictor"], sort=False).mean().unstack("predictor")


def best_predictor(scores: pd.DataFrame, metric: str) -> str:
    """Stack, else the model with the best mean."""
    means = group_means(scores, metric).groupby(["kind", "predictor"])["value"].mean()
    for kind in ("stack", "model"):
        if kind in means.index.get_level_values("kind"):
            return str(means[kind].idxmax())
    raise KeyError(f"no model or stack in the scores; found {sorted(scores['predictor'].unique())}: pass predictor=")
