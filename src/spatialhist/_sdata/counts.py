"""Whether a matrix holds raw counts, and which matrix of a table does."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import get_layer, recorded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

    from spatialhist._sdata.cohort import Cohort
    from spatialhist._sdata.slide import Slide

SPOTS_TRIED = 256
"""Spots of a slide, evenly spread, whose values are looked at."""
COUNTS = "counts"
"""Where many keep raw counts beside what they made of them."""
TOTAL_COUNTS = "total_counts"
"""Where scanpy notes in ``obs`` how many molecules a spot has."""
OR_GO_ON = ", or go on if these are abundances"
LOG_MARK = "log1p"
"""Where scanpy notes in ``uns`` that it has taken logarithms of ``X``."""


def slides_without_counts(matrix: Any, slides: Sequence[Slide]) -> dict[str, float]:
    """Slides whose measured rows of a matrix hold no counts, each with a value that is none."""
    rows = {slide.name: slide.rows[slide.measured] for slide in slides}
    found = {name: _odd_value(matrix, r) for name, r in rows.items() if len(r)}
    return {slide: value for slide, value in found.items() if value is not None}


def _odd_value(matrix: Any, rows: np.ndarray) -> float | None:
    """Return a value of some rows that is no whole number; what is not finite says nothing."""
    # evenly over the slide, since the first spots may all lie off the tissue
    part = matrix[rows[np.linspace(0, len(rows) - 1, min(len(rows), SPOTS_TRIED)).astype(int)]]
    values = part.data if hasattr(part, "indptr") else part.ravel()
    odd = values[np.isfinite(values) & (values != np.rint(values))]
    return float(odd[0]) if len(odd) else None


def get_counts(cohort: Cohort, layer: str | None, *, step: str) -> Any:
    """Return ``X`` or a layer as counts, and warn where it holds something else.

    Parameters
    ----------
    cohort
        The slides.
    layer
        Name of the layer, ``X`` if None.
    step
        Call that needs counts, as in ``sh.pp.log_normalize(sdata``.
    """
    matrix = get_layer(cohort.table, layer)
    odd = slides_without_counts(matrix, cohort.every_slide())
    if odd:
        warnings.warn(_not_counts(cohort, layer, odd, step), stacklevel=3)
    return matrix


def _not_counts(cohort: Cohort, layer: str | None, odd: dict[str, float], step: str, otherwise: str = OR_GO_ON) -> str:
    table, name = cohort.table, _named(layer)
    slide, value = next(iter(odd.items()))
    says = f", and uns[{LOG_MARK!r}] says that scanpy took logarithms" if name == "X" and LOG_MARK in table.uns else ""
    text = (
        f"{name} of table {cohort.table_key!r} is taken for raw counts, but holds values that are no whole numbers on "
        f"slides {list(odd)}, e.g. {value:.4g} on {slide!r}{says}"
    )
    better = next((k for k in layer_names(table) if is_counts(cohort, k)), None)
    key = "" if cohort.table_key == _keys.TABLE else f", table_key={cohort.table_key!r}"
    if better is not None:
        return f"{text}: layer {better!r} holds counts, call {step}, layer={better!r}{key})"
    return f"{text}: put raw counts into a layer and name it by layer={otherwise}"


def _named(layer: str | None) -> str:
    return "X" if layer in (None, "X") else f"layers[{layer!r}]"


def checked_counts(cohort: Cohort, layer: str | None, spots: Mapping[str, np.ndarray], *, step: str) -> Any:
    """Return ``X`` or a layer, of which every spot that is named holds counts, and at least one.

    Parameters
    ----------
    cohort
        The slides.
    layer
        Name of the layer, ``X`` if None.
    spots
        Rows of the table, per slide.
    step
        Call that needs counts, as in ``sh.pp.pearson_residuals(sdata``.

    Raises
    ------
    ValueError
        If a spot holds something else, or nothing.
    """
    matrix = get_layer(cohort.table, layer)
    _refuse_empty(cohort, layer, np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel(), spots)
    odd = {slide: value for slide, rows in spots.items() if (value := _no_count(matrix[rows])) is not None}
    if odd:
        raise ValueError(_not_counts(cohort, layer, odd, step, otherwise=""))
    return matrix


def _no_count(part: Any) -> float | None:
    """Return a value that is negative or no whole number."""
    values = part.data if hasattr(part, "indptr") else part.ravel()
    odd = values[(values < 0) | (values != np.rint(values))]
    return float(odd[0]) if len(odd) else None


def _refuse_empty(cohort: Cohort, layer: str | None, totals: np.ndarray, spots: Mapping[str, np.ndarray]) -> None:
    """Refuse spots of which the total of a layer is not finite, or not above 0.

    Raises
    ------
    ValueError
        Naming the slide, and a call that leaves them out.
    """
    refuse_missing(cohort, layer, totals, spots)
    for slide, rows in spots.items():
        if empty := int((totals[rows] <= 0).sum()):
            # a slide that would lose all its spots cannot be dropped, but it can be marked
            drop = ", drop=False" if empty == len(rows) else ""
            raise ValueError(
                f"{empty} spots of slide {slide!r} in {_named(layer)} of table {cohort.table_key!r} hold no count: leave them "
                f"out, {_filter(cohort, layer)}{drop}, min_counts=1, min_tissue=0)"
            )


def refuse_missing(cohort: Cohort, layer: str | None, values: np.ndarray, spots: Mapping[str, np.ndarray]) -> None:
    """Refuse spots of a layer of which a value per row of the table is NaN or infinite.

    Raises
    ------
    ValueError
        Naming the slide, and a call that drops them.
    """
    for slide, rows in spots.items():
        if missing := int((~np.isfinite(values[rows])).sum()):
            raise ValueError(
                f"{missing} spots of slide {slide!r} in {_named(layer)} of table {cohort.table_key!r} are NaN or infinite: "
                f"drop them with {_filter(cohort, layer)}, min_counts=0, min_tissue=0)"
            )


def _filter(cohort: Cohort, layer: str | None) -> str:
    given = "" if layer in (None, "X") else f", layer={layer!r}"
    key = "" if cohort.table_key == _keys.TABLE else f", table_key={cohort.table_key!r}"
    return f"sh.pp.filter_spots(sdata{given}{key}"


def known_depth(cohort: Cohort, layer: str, spots: Mapping[str, np.ndarray], column: str | None = None) -> np.ndarray:
    """Return the depth of every row of the table (:func:`spot_depth`), known and above 0 for the spots that are named.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If nothing says how deep the spots are, or one holds no count.
    """
    depth = spot_depth(cohort.table, cohort.every_slide(), layer, column)
    if depth is None:
        raise ValueError(
            f"the depth behind layer {layer!r} of table {cohort.table_key!r} is not known, since neither it nor X was made of "
            f"counts: put the total counts of every spot into sdata[{cohort.table_key!r}].obs['total_counts']"
        )
    _refuse_empty(cohort, _origin(cohort.table, layer), depth, spots)
    return depth


def is_counts(cohort: Cohort, layer: str) -> bool:
    """Whether a layer that a user made holds counts."""
    return not recorded(cohort.table, layer) and _holds_counts(get_layer(cohort.table, layer), cohort.every_slide())


def _holds_counts(matrix: Any, slides: Sequence[Slide]) -> bool:
    """Whether every slide's rows hold counts, and some are not 0."""
    values = matrix.data if hasattr(matrix, "indptr") else matrix
    return bool(values.any()) and not slides_without_counts(matrix, slides)


def counts_behind(table: AnnData, slides: Sequence[Slide], layer: str) -> Any:
    """Return the counts that a layer was made from, step by step, else ``X``; None where that holds no counts.

    Whoever called ``sh.pp.log_normalize(sdata, layer="counts")`` has said where the counts are.
    """
    for name in dict.fromkeys((_origin(table, layer), "X")):
        if name in layer_names(table) or (name == "X" and table.X is not None):
            matrix = get_layer(table, name)
            if _holds_counts(matrix, slides):
                return matrix
    return None


def _origin(table: AnnData, layer: str) -> str:
    """What a layer was made from, step by step, as far as it is recorded."""
    seen: set[str] = set()
    # a record that names itself would never end
    while layer not in seen and "layer" in recorded(table, layer):
        seen.add(layer)
        layer = recorded(table, layer)["layer"]
    return layer


def totaled(table: AnnData, slides: Sequence[Slide], layer: str) -> Any:
    """Return what the depth of a spot is summed over: counts behind a layer, else abundances; never logarithms."""
    counts = counts_behind(table, slides, layer)
    if counts is not None or table.X is None or LOG_MARK in table.uns:
        return counts
    return get_layer(table, None)


def spot_depth(table: AnnData, slides: Sequence[Slide], layer: str, column: str | None = None) -> np.ndarray | None:
    """Return the depth of every spot: how many molecules were counted, over all genes.

    Parameters
    ----------
    table
        Spots and genes.
    slides
        Whose depth is needed.
    layer
        What was made from the counts.
    column
        Column of ``obs`` that holds it; None to sum the counts behind the layer, those of ``layers["counts"]``, or else to
        take ``obs["total_counts"]``.

    Returns
    -------
    ndarray | None
        ``(n_obs,)``; None where nothing says how deep the measured spots are.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If it does not say how deep the measured spots are.
    """
    if column is not None:
        if column not in table.obs:
            raise KeyError(f"depth={column!r} is no column of obs, which has {list(table.obs)}")
        return _checked_depth(table, slides, column)
    counts = counts_behind(table, slides, layer)
    if counts is None and COUNTS in layer_names(table) and _holds_counts(held := get_layer(table, COUNTS), slides):
        counts = held
    if counts is not None:
        return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    try:
        return _checked_depth(table, slides, TOTAL_COUNTS) if TOTAL_COUNTS in table.obs else None
    except ValueError:
        return None


def _checked_depth(table: AnnData, slides: Sequence[Slide], column: str) -> np.ndarray:
    """Values of a column of ``obs`` that has to say how deep the measured spots are."""
    import pandas as pd

    depth = pd.to_numeric(table.obs[column].astype(object), errors="coerce").to_numpy(np.float64)
    for slide in slides:
        measured = depth[slide.rows[slide.measured]]
        if n_bad := int((~(np.isfinite(measured) & (measured >= 0))).sum()):
            raise ValueError(
                f"obs[{column!r}] is missing, infinite or below 0 in {n_bad} of {len(measured)} measured spots of slide "
                f"{slide.name!r}: put the total counts of every spot there, or leave slides out with slides="
            )
    return depth
