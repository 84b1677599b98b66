"""Whether predictions and measurements of an object are still those of the run that wrote them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import dense_columns, get_layer, record, recorded
from spatialhist._sdata.values import as_ids
from spatialhist.tl._data.panel import target_source

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

OWN_LABELS = "fitted_on_own_labels"
"""Entry of ``uns`` with hashes of predictions that repeat labels, whatever their layer is called later."""


def written(table: AnnData, slides: Sequence[Slide], layer: str, truth: str) -> dict[str, list[Any]]:
    """What is remembered of out-of-fold predictions and of the measurements they are to be compared with.

    Parameters
    ----------
    table
        Holds both.
    slides
        Those of the run, in the order of its record.
    layer
        Predictions.
    truth
        What they predict.

    Returns
    -------
    dict[str, list]
        A number or hash a slide: spots, genes, predictions, measurements.
    """
    each = [_facts(table, layer, truth, *_predicted(table, slide, layer)) for slide in slides]
    return {key: [facts[key] for facts in each] for key in ("n_spots", "n_genes", "predictions", "measurements")}


def _facts(table: AnnData, layer: str, truth: str, rows: np.ndarray, columns: np.ndarray) -> dict[str, Any]:
    return {
        "n_spots": len(rows),
        "n_genes": len(columns),
        "predictions": _digest(get_layer(table, layer), rows, columns),
        "measurements": _digest(target_source(table, truth)[0], rows, columns),
    }


def _predicted(table: AnnData, slide: Slide, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that a layer predicts on a slide, in an order of their own, whatever that of the table."""
    rows, matrix = slide.rows, get_layer(table, layer)
    part = matrix[rows]
    known = np.isfinite(part.toarray() if hasattr(part, "toarray") else np.asarray(part))
    rows, columns = rows[known.any(axis=1)], np.flatnonzero(known.any(axis=0))
    # by id, so that sorting the table changes no hash
    ids = as_ids(table.obs[_keys.INSTANCE])[rows]
    return rows[np.argsort(ids, kind="stable")], columns[np.argsort(table.var_names[columns], kind="stable")]


def _digest(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> str:
    return hashlib.blake2b(dense_columns(matrix, rows, columns).tobytes(), digest_size=8).hexdigest()


def changes(table: AnnData, slides: Sequence[Slide], layer: str) -> list[str]:
    """What was changed since a run wrote a layer, of what its scores depend on.

    Parameters
    ----------
    table
        Holds the layer.
    slides
        Those that are scored.
    layer
        Out-of-fold predictions; of others nothing is known.
    """
    made = recorded(table, layer)
    if "predictions" not in made:
        return []
    before = {s: {k: made[k][i] for k in _KINDS} for i, s in enumerate(made["slides"])}
    found = [
        kind for slide in slides if slide.name in before for kind in _differ(table, slide, layer, before[slide.name])
    ]
    return [
        _SAYS[kind].format(layer=layer, truth=made["target"], slides=_of(found, kind))
        for kind in _SAYS
        if _of(found, kind)
    ]


_KINDS = ("n_spots", "n_genes", "predictions", "measurements")
_SAYS = {
    "spots": "spots that the run predicted are no longer in the table, so they are not scored: {slides}",
    "usable": "spots of the run were flagged off after it by sh.pp.filter_spots, or by hand, and are not scored: {slides}; if "
    "they were flagged for their scores, the scores look better than they are",
    "predictions": "layer {layer!r} was changed after the run wrote it, so its scores are not those of the run: {slides}",
    "measurements": "layer {truth!r} was changed after the run, so its scores are not those of the run: {slides}",
}


def _of(found: Sequence[tuple[str, str]], kind: str) -> str:
    return ", ".join(text for other, text in found if other == kind)


def _differ(table: AnnData, slide: Slide, layer: str, before: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kinds of change, each with the slide."""
    rows, columns = _predicted(table, slide, layer)
    now = _facts(table, layer, recorded(table, layer)["target"], rows, columns)
    if now["n_spots"] < before["n_spots"]:
        yield "spots", f"{before['n_spots'] - now['n_spots']} of {before['n_spots']} of slide {slide.name!r}"
    # with fewer spots or genes the hashes are others in any case, which says nothing about the values
    elif now["n_genes"] == before["n_genes"]:
        for kind in ("predictions", "measurements"):
            if now[kind] != before[kind]:
                yield kind, f"slide {slide.name!r}"
    if lost := len(np.setdiff1d(rows, slide.usable)):
        yield "usable", f"{lost} of {len(rows)} of slide {slide.name!r}"


def remember_own_labels(table: AnnData, layer: str, slides: Sequence[Slide]) -> None:
    """Remember predictions of slides by a model that was fitted on their labels."""
    if not slides:
        return
    matrix = get_layer(table, layer)
    new = [_digest(matrix, *_predicted(table, slide, layer)) for slide in slides]
    record(table, OWN_LABELS, {"predictions": sorted({*recorded(table, OWN_LABELS).get("predictions", []), *new})})


def repeats_labels(table: AnnData, slides: Sequence[Slide], layer: str) -> list[str]:
    """Slides on which a layer of any name holds predictions of a model that was fitted on their labels."""
    known = set(recorded(table, OWN_LABELS).get("predictions", []))
    if not known:
        return []
    matrix = get_layer(table, layer)
    return [s.name for s in slides if _digest(matrix, *_predicted(table, s, layer)) in known]
