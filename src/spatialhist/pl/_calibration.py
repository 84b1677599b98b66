"""Whether predictions differ between spots by as much as measurements do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import dense_columns, get_dense_layer, get_layer, recorded
from spatialhist.pl._draw.style import CYCLE, FONT, chart, entry, new_axes
from spatialhist.pl._draw.units import is_predicted, target_of, unit_of

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

N_BINS = 10
Pairs = tuple[np.ndarray, np.ndarray]
"""Predicted and measured values, one by one."""


def calibration(
    sdata: SpatialData,
    *,
    layer: str = "oof",
    ax: Axes | None = None,
    table_key: str = _keys.TABLE,
) -> Axes:
    """Draw measured against predicted differences from the mean of a slide, in ten bins a held-out group.

    Parameters
    ----------
    sdata
        The cohort.
    layer
        Layer of predictions.
    ax
        Axes to draw into; those of a new figure if None.
    table_key
        Name of the table.

    Returns
    -------
    Axes
        Axes: a dot is a tenth of a group's spots and genes, by what was predicted. On the dashed line spots differ by
        as much as was predicted; where dots rise less, predictions exaggerate. The title gives the slope over all spots
        and genes, mean over groups.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If it holds no predictions, or nothing that was measured too.

    Notes
    -----
    Each gene's mean over the spots of a slide is taken off both sides first: the headline score does not depend on
    the level of a slide.
    """
    cohort = open_cohort(sdata, table_key=table_key)
    get_layer(cohort.table, layer)
    if not is_predicted(cohort.table, layer):
        raise ValueError(
            f"layer {layer!r} holds no predictions: name one that tl.cross_validate or tl.predict has made"
        )
    groups = _pairs_by_group(cohort.table, cohort.every_slide(), layer)
    if not groups:
        raise ValueError(f"no spot has both a measurement and a prediction in layer {layer!r}")
    ax = new_axes(ax, (4.4, 4))
    for i, (group, pairs) in enumerate(groups.items()):
        color = CYCLE[i % len(CYCLE)]
        ax.plot(*_binned(pairs), "o-", color=color, markersize=4, linewidth=0.8, alpha=0.8, label=entry(group))
    ax.axline((0, 0), slope=1, color="black", linewidth=0.8, linestyle="--")
    slope = float(np.mean([_slope(pairs) for pairs in groups.values()]))
    unit = unit_of(cohort.table, layer)
    chart(ax, xlabel=f"predicted, {unit}", ylabel=f"measured, {unit}", title=f"{layer}: slope {slope:.2f}")
    if len(groups) <= len(CYCLE):
        ax.legend(fontsize=FONT - 1, frameon=False)
    return ax


def _pairs_by_group(table: AnnData, slides: Sequence[Slide], layer: str) -> dict[str, Pairs]:
    """Differences from the slide's means, by held-out group; by slide where no group was held out."""
    entry = recorded(table, layer)
    group_of = dict(zip(entry.get("slides", []), entry.get("groups", []), strict=True))
    found: dict[str, list[Pairs]] = {}
    for slide, pairs in _pairs_by_slide(table, slides, layer):
        found.setdefault(group_of.get(slide, slide), []).append(pairs)
    return {g: (np.concatenate([p for p, _ in s]), np.concatenate([m for _, m in s])) for g, s in found.items()}


def _pairs_by_slide(table: AnnData, slides: Sequence[Slide], layer: str) -> Iterator[tuple[str, Pairs]]:
    values = get_dense_layer(table, layer)
    for slide in slides:
        rows = slide.rows[slide.measured & np.isfinite(values[slide.rows]).any(axis=1)]
        columns = np.flatnonzero(np.isfinite(values[rows]).all(axis=0) & slide.genes_measured)
        if len(rows) > 1 and len(columns):
            pair = values[np.ix_(rows, columns)], _truth(table, layer, rows, columns)
            predicted, actual = (v - v.mean(axis=0) for v in pair)
            yield slide.name, (predicted.ravel(), actual.ravel())


def _truth(table: AnnData, layer: str, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """What was measured; where ranks were predicted, ranked within the same genes."""
    from spatialhist.pp._expression.ranks import rank_rows

    target = target_of(table, layer)
    ranking = recorded(table, layer).get("ranking")
    source = recorded(table, target)["layer"] if ranking else target
    part = dense_columns(get_layer(table, source), rows, columns)
    return rank_rows(part, **ranking) if ranking else part


def _binned(pairs: Pairs) -> Pairs:
    """Means of tenths, by what was predicted."""
    predicted, actual = pairs
    # by rank, so that every bin has as many values
    parts = np.array_split(np.argsort(predicted, kind="stable"), min(N_BINS, len(predicted)))
    return np.array([predicted[p].mean() for p in parts]), np.array([actual[p].mean() for p in parts])


def _slope(pairs: Pairs) -> float:
    """Slope of measured on predicted; both have mean 0."""
    predicted, actual = pairs
    return float(predicted @ actual / (predicted @ predicted)) if predicted.any() else np.nan
