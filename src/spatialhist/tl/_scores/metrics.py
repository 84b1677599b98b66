"""All scores of one predictor on one slide. Pure arrays in, rows of the score table out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from spatialhist import metrics

HEADLINE = "pearson"
POOLED = "pooled_pearson"
RELIABILITY = "reliability"
ALL = ""
"""Target of scores that are taken over all targets at once."""

PER_TARGET: dict[str, Callable[..., np.ndarray]] = {
    HEADLINE: metrics.pearson,
    "spearman": metrics.spearman,
    "rmse": metrics.rmse,
    "nrmse": metrics.nrmse,
    "r2": metrics.r2,
    "variance_ratio": metrics.variance_ratio,
    "mutual_information": metrics.mutual_information,
    "jensen_shannon": metrics.jensen_shannon,
    "auc_detected": metrics.auc_detected,
}
IN_UNITS = frozenset({"rmse", "nrmse", "r2", "variance_ratio", "jensen_shannon"})
"""Mean nothing where the prediction has other units than the truth."""
OVER_TARGETS = ("spot_spearman", "ssim", "moran_agreement")
EVERY = (*PER_TARGET, *OVER_TARGETS, POOLED, RELIABILITY)
DEFAULT = (HEADLINE, "spearman", "rmse", "r2", "variance_ratio", *OVER_TARGETS, POOLED)

Row = tuple[str, str, float, int]
"""Target, metric, value, number of values behind it."""


def choose_metrics(names: str | Sequence[str]) -> tuple[str, ...]:
    """Resolve ``"default"``, ``"all"``, one name or several.

    Raises
    ------
    ValueError
        Listing the names.
    """
    if names in ("default", "all"):
        return DEFAULT if names == "default" else EVERY
    chosen = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in chosen if name not in EVERY]
    if unknown or not chosen:
        raise ValueError(f"metrics={list(chosen)} must be 'default', 'all' or some of {list(EVERY)}")
    return chosen


def score_slide(
    truth: np.ndarray,
    predicted: np.ndarray,
    targets: list[str],
    *,
    xy: np.ndarray,
    pitch: float | None,
    connectivities: Any | None,
    same_units: bool = True,
    chosen: Sequence[str] = DEFAULT,
) -> Iterator[Row]:
    """Score the spots of one slide.

    Parameters
    ----------
    truth, predicted
        ``(n, targets)``.
    targets
        Names.
    xy, pitch
        Spot centers and their distance, for the structural similarity; it is left out without a pitch.
    connectivities
        Graph of the spots, for the agreement of Moran's I; it is left out without one.
    same_units
        False leaves out what depends on the units of the prediction.
    chosen
        Names of metrics.

    Yields
    ------
    Row
        Rows per target, and one a slide for what is taken over all targets.
    """
    n = len(truth)
    for name in _per_target(truth, chosen, same_units=same_units):
        for target, value in zip(targets, PER_TARGET[name](truth, predicted), strict=True):
            yield target, name, float(value), n
    if "spot_spearman" in chosen and len(targets) > 1:
        yield from _profiles(truth, predicted)
    if "ssim" in chosen and pitch is not None and n > 1:
        yield ALL, "ssim", _ssim(truth, predicted, xy, pitch), n
    if "moran_agreement" in chosen and connectivities is not None and connectivities.nnz:
        yield ALL, "moran_agreement", metrics.moran_agreement(truth, predicted, connectivities), n


def _per_target(truth: np.ndarray, chosen: Sequence[str], *, same_units: bool) -> list[str]:
    """Scores per target that the units of truth and prediction allow."""
    left_out = set() if same_units else set(IN_UNITS)
    if truth.size and np.nanmin(truth) < 0:  # no distribution over spots
        left_out.add("jensen_shannon")
    return [name for name in PER_TARGET if name in chosen and name not in left_out]


def _profiles(truth: np.ndarray, predicted: np.ndarray) -> Iterator[Row]:
    """Spearman over targets, mean over spots, with the spots for which it is 0 or unknown by definition."""
    values = metrics.spot_spearman(truth, predicted)
    unknown = int(np.isnan(values).sum())
    yield ALL, "spot_spearman", _mean(values), len(values) - unknown
    yield ALL, "spots_left_out", float(unknown), len(values)
    yield ALL, "spots_constant", float(metrics.is_constant(predicted.T).sum()), len(values)


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
    counts: np.ndarray,
    depth: np.ndarray,
    targets: list[str],
    *,
    target_sum: float,
    seed: int,
    chosen: Sequence[str] = DEFAULT,
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
    chosen
        Names of metrics: the ceiling of Pearson's correlation, and the reliability, its square.
    """

    def transform(half: np.ndarray) -> np.ndarray:
        return np.log1p(half * (2 * target_sum / depth[:, None]))

    ceiling = metrics.noise_ceiling(counts, transform, seed=seed)
    for name, values in ((HEADLINE, ceiling), (RELIABILITY, ceiling**2)):
        if name in chosen:
            for target, value in zip(targets, values, strict=True):
                yield target, name, float(value), len(counts)
