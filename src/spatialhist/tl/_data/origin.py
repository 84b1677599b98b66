"""Whether the values of a spot follow from its own counts, or may hold something of other slides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.counts import slides_without_counts
from spatialhist._sdata.layers import dense_columns, get_layer, recorded

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

SPOTS_TRIED = 256
"""Spots, evenly spread over the slides, whose values are compared with their counts."""
SAME = 1e-3
"""Relative difference up to which two numbers are the same."""
MOST = 0.9
"""Share of the genes that have to show it."""
INVERSE = (lambda v: v, np.expm1, lambda v: np.exp2(v) - 1, lambda v: 10.0**v - 1, np.square)
"""Of what is done to scaled counts: nothing, a logarithm to one of three bases, a square root."""


def foreign(
    table: AnnData, slides: Sequence[Slide], rows: Mapping[str, np.ndarray], layer: str, columns: np.ndarray
) -> str | None:
    """Say why scores against a layer may not be held-out; None where each spot's values follow from its own counts.

    Parameters
    ----------
    table
        Holds the layer, and counts.
    slides
        The slides.
    rows
        Rows of the table that are used, per slide.
    layer
        What is predicted.
    columns
        Genes that are used, as positions in the table.
    """
    made = recorded(table, layer)
    source = made.get("layer")
    if source is not None and "target_sum" not in made or made.get("smoothed"):
        # ranks and smoothed values are made by this package, slide by slide, of what is asked about next
        return foreign(table, slides, rows, source, columns) if source in layer_names(table) else None
    matrix = get_layer(table, layer)
    spots = np.concatenate(list(rows.values()))
    used = [s for s in slides if s.name in rows]
    known = _compared_with(table, layer, source)
    if not slides_without_counts(matrix, used) or (not known and source is not None):
        return None
    if _follows_counts(table, matrix, spots, known):
        return None
    hints = [*_twin(table, layer, spots, columns), *_shared(matrix, used, rows, columns)]
    return f"layer {layer!r} {_what_is_wrong(made)}: if it was {_may_be(layer)}{''.join(f'; {hint}' for hint in hints)}"


def _what_is_wrong(made: Mapping[str, Any]) -> str:
    if "target_sum" in made:
        return (
            f"is no longer log(1 + counts per {made['target_sum']:g}) of {made['layer']!r}, as its record says; it was "
            "changed outside this package, and how is not recorded"
        )
    return "was made outside this package, and how it was made is not recorded"


def _may_be(layer: str) -> str:
    advice = (
        "Values that were computed for each slide by itself are fine"
        if layer == "X"
        else "sh.pp.log_normalize(sdata) makes a layer of which each spot's values follow from its own counts"
    )
    return f"computed over several slides (scaled, averaged, smoothed, corrected), scores are not held-out. {advice}"


def _compared_with(table: AnnData, layer: str, source: str | None) -> list[str]:
    """Where the counts of a layer may be."""
    names = [n for n in dict.fromkeys((source, "X", "counts")) if n not in (None, layer)]
    return [n for n in names if n in layer_names(table) or (n == "X" and table.X is not None)]


def _follows_counts(table: AnnData, matrix: Any, spots: np.ndarray, known: Sequence[str]) -> bool:
    """Whether values of each spot are its counts times one factor, as they are or through a known function."""
    # spread over all slides, since only some of them may have been changed
    tried = spots[np.linspace(0, len(spots) - 1, min(len(spots), SPOTS_TRIED)).astype(int)]
    every = np.arange(table.n_vars)
    values = dense_columns(matrix, tried, every).astype(float)
    return any(_scaled(values, dense_columns(get_layer(table, n), tried, every).astype(float)) for n in known)


def _scaled(values: np.ndarray, counts: np.ndarray) -> bool:
    # zeros stay zeros in every function below; a value that was centered, smoothed or corrected does not
    if not ((values != 0) == (counts != 0)).all() or not (counts >= 0).all():
        return False
    # powers of values that are no logarithms run over; such a function is not the one that was applied
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return any(_one_factor(inverse(values), counts) for inverse in INVERSE)


def _one_factor(values: np.ndarray, counts: np.ndarray) -> bool:
    """Whether the values of every spot are its counts times a factor of its own."""
    ratio = np.where(counts > 0, values / counts, np.nan)
    shown = np.isfinite(ratio).any(axis=1)
    if not np.isfinite(ratio[shown]).any():
        return not shown.size or not (counts > 0).any()
    factor = np.nanmedian(ratio[shown], axis=1, keepdims=True)
    return bool((np.abs(ratio[shown] - factor) <= SAME * np.abs(factor))[counts[shown] > 0].all())


def _twin(table: AnnData, layer: str, spots: np.ndarray, columns: np.ndarray) -> Iterator[str]:
    """Layer of this package that holds the same values."""
    own = dense_columns(get_layer(table, layer), spots, columns)
    for name in layer_names(table):
        made = recorded(table, name)
        if name == layer or not (made.get("smoothed") or "target" in made):
            continue
        if np.array_equal(own, dense_columns(get_layer(table, name), spots, columns), equal_nan=True):
            yield f"it holds the {'smoothed values' if made.get('smoothed') else 'predictions'} of layer {name!r}"


def _shared(matrix: Any, slides: Sequence[Slide], rows: Mapping[str, np.ndarray], columns: np.ndarray) -> Iterator[str]:
    """Means and deviations that slides share exactly, as by chance they never do."""
    measured = {s.name: s.rows[s.measured] for s in slides}
    # spots may have been filtered before or after the layer was made
    for chosen in (rows, measured):
        found = list(_shared_by([dense_columns(matrix, r, columns).astype(float) for r in chosen.values() if len(r)]))
        if found:
            yield from found
            return


def _shared_by(slides: list[np.ndarray]) -> Iterator[str]:
    if len(slides) < 2:
        return
    pooled = np.concatenate(slides)
    mean, deviation = pooled.mean(axis=0), pooled.std(axis=0)
    known = deviation > 0
    if not known.any():
        return
    means = np.stack([s.mean(axis=0) for s in slides])[:, known]
    deviations = np.stack([s.std(axis=0) for s in slides])[:, known]
    mean, deviation = mean[known], deviation[known]
    same = np.maximum(SAME, 1 / len(pooled)) * deviation

    def most(shown: np.ndarray) -> bool:
        return bool(shown.mean() >= MOST)

    each_by_itself = most(np.abs(means).max(axis=0) < same)
    if most(np.abs(mean) < same) and not each_by_itself:
        yield "the mean of its genes over all slides is 0, and that of each slide is not"
    if most(np.ptp(means, axis=0) < same) and not each_by_itself:
        yield "the mean of its genes is the same on every slide"
    alone = most(np.abs(deviations - 1).max(axis=0) < same)
    if most(np.abs(deviation - 1) < same) and not alone:
        yield "the standard deviation of its genes over all slides is 1, and that of each slide is not"
    if most(np.ptp(deviations, axis=0) < same) and not alone:
        yield "the standard deviation of its genes is the same on every slide"
