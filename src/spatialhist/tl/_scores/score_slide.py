"""The scores of one predictor on one slide: pure arrays in, rows of the score table out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from spatialhist import metrics
from spatialhist.tl._scores.metrics import (
    BEYOND_DEPTH,
    DEFAULT,
    HEADLINE,
    METRICS,
    RELIABILITY,
    Layout,
    Metric,
    call,
    mean_known,
)

ALL = ""
"""Target of scores that are taken over all targets at once."""

COUNTS = SPOTS_LEFT_OUT, SPOTS_CONSTANT = "spots_left_out", "spots_constant"
"""Spots whose profile has no ranks, measured or predicted: what stands beside the scores per spot."""

Row = tuple[str, str, float, int]
"""Target, metric, value, number of values behind it."""


def score_slide(
    truth: np.ndarray,
    predicted: np.ndarray,
    targets: list[str],
    layout: Layout,
    *,
    same_units: bool = True,
    chosen: Sequence[Metric] = DEFAULT,
) -> Iterator[Row]:
    """Score the spots of one slide.

    Parameters
    ----------
    truth, predicted
        ``(n, targets)``.
    targets
        Names.
    layout
        Where the spots lie.
    same_units
        False leaves out what depends on the units of the prediction.
    chosen
        What to score by.

    Yields
    ------
    Row
        Rows per target, and one a slide for what is taken over all targets.
    """
    for metric in chosen:
        if metric.per in SCORED_BY and (same_units or not metric.in_units):
            yield from SCORED_BY[metric.per](metric, truth, predicted, targets, layout)


def _per_gene(
    metric: Metric, truth: np.ndarray, predicted: np.ndarray, targets: list[str], layout: Layout
) -> Iterator[Row]:
    unknown = metric.needs_depth and layout.depth is None
    depth = [layout.depth] if metric.needs_depth else []
    values = np.full(len(targets), np.nan) if unknown else called(metric, truth, predicted, *depth)
    if values is not None:
        yield from ((t, metric.name, float(v), len(truth)) for t, v in zip(targets, values, strict=True))


def _per_spot(
    metric: Metric, truth: np.ndarray, predicted: np.ndarray, targets: list[str], layout: Layout
) -> Iterator[Row]:
    """Mean over spots, with how many are 0 or unknown by definition beside the metric of this package."""
    values = called(metric, truth, predicted)
    if values is None:
        return
    unknown = int(np.isnan(values).sum())
    yield ALL, metric.name, mean_known(values), len(values) - unknown
    if metric in METRICS:
        yield ALL, SPOTS_LEFT_OUT, float(unknown), len(values)
        yield ALL, SPOTS_CONSTANT, float(metrics.is_constant(predicted.T).sum()), len(values)


def _per_slide(
    metric: Metric, truth: np.ndarray, predicted: np.ndarray, targets: list[str], layout: Layout
) -> Iterator[Row]:
    value = call(metric, truth, predicted, layout)
    if value is not None:
        yield ALL, metric.name, float(value), len(truth)


SCORED_BY = {"gene": _per_gene, "spot": _per_spot, "slide": _per_slide}


def called(metric: Metric, truth: np.ndarray, predicted: np.ndarray, *more: Any) -> np.ndarray | None:
    """Values of a metric per gene or spot, None where it has none.

    Raises
    ------
    ValueError
        If there are not as many as there are genes or spots.
    """
    values = call(metric, truth, predicted, *more)
    expected = (len(truth) if metric.per == "spot" else truth.shape[1],)
    if values is not None and np.shape(values) != expected:
        raise ValueError(
            f"metric {metric.name!r} gave values of shape {np.shape(values)}, expected {expected}, one per {metric.per}: "
            "say with sh.tl.Metric(..., per=) what it is taken over"
        )
    return values


def score_cohort(metric: Metric, truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over genes of a metric of all slides together."""
    values = np.atleast_1d(call(metric, truth, predicted))
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def ceiling_rows(
    counts: np.ndarray,
    total: np.ndarray,
    targets: list[str],
    *,
    target_sum: float,
    seed: int,
    chosen: Collection[str] = (HEADLINE,),
    depth: np.ndarray | None = None,
) -> Iterator[Row]:
    """Noise ceiling of log1p expression per target, from binomial halves of the counts.

    Parameters
    ----------
    counts
        Whole numbers ``(n, targets)``.
    total
        Total counts of the spots over all genes ``(n,)``.
    targets
        Names.
    target_sum
        Counts that spots were scaled to before the logarithm.
    seed
        Of the splits.
    chosen
        Names of metrics: the ceiling of Pearson's correlation, the same beyond depth, and the reliability, the square of the
        first.
    depth
        What is regressed out beyond depth ``(n,)``; total counts if None.

    Yields
    ------
    Row
        One per target and name.
    """

    def transform(half: np.ndarray) -> np.ndarray:
        # twice, since a half holds half of the depth: both halves have the units of the whole
        return np.log1p(half * (2 * target_sum / total[:, None]))

    found = {}
    if {HEADLINE, RELIABILITY} & set(chosen):
        found[HEADLINE] = metrics.noise_ceiling(counts, transform, seed=seed)
        found[RELIABILITY] = found[HEADLINE] ** 2
    if BEYOND_DEPTH in chosen:
        beyond = total if depth is None else depth
        found[BEYOND_DEPTH] = metrics.noise_ceiling(counts, transform, depth=beyond, seed=seed)
    for name in (n for n in (HEADLINE, BEYOND_DEPTH, RELIABILITY) if n in chosen):
        for target, value in zip(targets, found[name], strict=True):
            yield target, name, float(value), len(counts)
