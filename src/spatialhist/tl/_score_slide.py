"""All scores of one predictor on one slide. Pure arrays in, rows of the score table out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from spatialhist import metrics

HEADLINE = "pearson"
ALL = ""
"""Target of scores that are taken over all targets at once."""

Row = tuple[str, str, float, int]
"""Target, metric, value, number of values behind it."""


def score_slide(
    truth: np.ndarray,
    predicted: np.ndarray,
    targets: list[str],
    *,
    xy: np.ndarray,
    pitch: float | None,
    connectivities: Any | None,
    same_units: bool = True,
) -> Iterator[Row]:
    """Score the spots of one slide.

    Parameters
    ----------
    truth, predicted
        ``(n, targets)``.
    targets
        Names.
    xy, pitch
        Spot centres and their distance, for the structural similarity; it is left out without a pitch.
    connectivities
        Graph of the spots, for the agreement of Moran's I; it is left out without one.
    same_units
        False leaves out what depends on the units of the prediction.

    Yields
    ------
    Rows per target for Pearson, Spearman, RMSE, R2 and variance ratio, and one a slide for the others.
    """
    n = len(truth)
    per_target: dict[str, Callable[..., np.ndarray]] = {HEADLINE: metrics.pearson, "spearman": metrics.spearman}
    if same_units:
        per_target |= {"rmse": metrics.rmse, "r2": metrics.r2, "variance_ratio": metrics.variance_ratio}
    for name, function in per_target.items():
        for target, value in zip(targets, function(truth, predicted), strict=True):
            yield target, name, float(value), n
    if len(targets) > 1:
        yield ALL, "spot_spearman", _mean(metrics.spot_spearman(truth, predicted)), n
    if pitch is not None and n > 1:
        yield ALL, "ssim", _ssim(truth, predicted, xy, pitch), n
    if connectivities is not None and connectivities.nnz:
        yield ALL, "moran_agreement", metrics.moran_agreement(truth, predicted, connectivities), n


def _ssim(truth: np.ndarray, predicted: np.ndarray, xy: np.ndarray, pitch: float) -> float:
    """Structural similarity; NaN for spots too scattered to make a map of."""
    try:
        return _mean(metrics.ssim(truth, predicted, xy, pitch))
    except ValueError:
        return float("nan")


def _mean(values: np.ndarray) -> float:
    """Mean of what could be scored."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def ceiling_rows(
    counts: np.ndarray, depth: np.ndarray, targets: list[str], *, target_sum: float, seed: int
) -> Iterator[Row]:
    """Noise ceiling of log1p expression per target, from binomial halves of the counts.

    Parameters
    ----------
    counts
        Whole numbers ``(n, targets)``.
    depth
        Total counts of the spots over all genes ``(n,)``.
    targets
        Names.
    target_sum
        Counts that spots were scaled to before the logarithm.
    seed
        Of the splits.
    """

    def transform(half: np.ndarray) -> np.ndarray:
        return np.log1p(half * (2 * target_sum / depth[:, None]))

    values = metrics.noise_ceiling(counts, transform, seed=seed)
    for target, value in zip(targets, values, strict=True):
        yield target, HEADLINE, float(value), len(counts)
