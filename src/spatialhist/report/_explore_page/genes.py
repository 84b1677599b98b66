"""Which genes are on the page, and how far each of them is to be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from spatialhist._sdata.layers import get_layer, recorded
from spatialhist._sdata.values import as_numbers
from spatialhist.report._explore_page.views import PREDICTED, View
from spatialhist.tl._data.renamed import VERDICTS
from spatialhist.tl._scores.card import SCORE, VERDICT
from spatialhist.tl._scores.reliability import rate_genes
from spatialhist.tl._scores.summarize import summarize

if TYPE_CHECKING:
    from anndata import AnnData

N_GENES = 300
"""As many as a reader will look through."""


class Rating(NamedTuple):
    """Verdict on a gene, and its within-slide Pearson on groups that were held out; None where it is not known."""

    verdict: str | None
    score: float | None


UNKNOWN = Rating(None, None)


def choose_genes(
    table: AnnData, views: Sequence[View], genes: str | Sequence[str] | None, ratings: dict[str, dict[str, Rating]]
) -> list[str]:
    """Genes that are shown: those that are named, or the best predicted, or those that vary most.

    Raises
    ------
    KeyError
        If the table lacks some.
    ValueError
        If none is named, or one twice.
    """
    if genes is not None:
        return _named(table, [genes] if isinstance(genes, str) else list(genes))
    predicted = [view.layer for view in views if view.kind == PREDICTED]
    if not predicted:
        return _most_variable(table, views[0].layer)
    modeled = np.logical_or.reduce([_any_known(get_layer(table, layer)) for layer in predicted])
    rated = ratings.get(predicted[0], {})
    names = [str(g) for g in table.var_names[modeled]]
    scores = pd.Series([rated.get(g, UNKNOWN).score for g in names], names, dtype=float).fillna(-1.0)
    return list(scores.sort_values(ascending=False, kind="stable").index[:N_GENES])


def _named(table: AnnData, names: list[str]) -> list[str]:
    missing = [g for g in names if g not in table.var_names]
    if missing:
        raise KeyError(f"genes {missing[:5]} are not in the table, which has {list(table.var_names[:5])}, ...")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"genes {names[:5]}: name at least one gene, and none of them twice")
    return names


def _any_known(values: object) -> np.ndarray:
    """Boolean per gene: some spot has a value."""
    if not isinstance(values, np.ndarray):
        return np.ones(values.shape[1], dtype=bool)  # type: ignore[attr-defined]
    return np.asarray(np.isfinite(values).any(axis=0))


def _most_variable(table: AnnData, layer: str) -> list[str]:
    """Genes by their variance over all spots, in the order of the table."""
    values = get_layer(table, layer)
    if isinstance(values, np.ndarray):
        variance = np.nan_to_num(np.var(np.nan_to_num(values), axis=0, dtype=float))
    else:
        mean = np.asarray(values.mean(axis=0, dtype=float)).ravel()
        variance = np.asarray(values.multiply(values).mean(axis=0, dtype=float)).ravel() - mean**2
    order = np.argsort(-variance, kind="stable")[:N_GENES]
    return [str(g) for g in table.var_names[np.sort(order)]]


def rate(table: AnnData, views: Sequence[View], scores: pd.DataFrame | None) -> dict[str, dict[str, Rating]]:
    """Ratings of genes, by layer of predictions.

    Parameters
    ----------
    table
        In whose ``var`` the ratings of predictions of new slides stand.
    views
        What is shown.
    scores
        What :func:`spatialhist.tl.evaluate` returned, for predictions of slides that were held out.

    Raises
    ------
    KeyError, ValueError
        If it is no table of scores.
    """
    if scores is not None:
        summarize(scores)
    return {layer: _of_layer(table, layer, scores) for layer in dict.fromkeys(view.of for view in views if view.of)}


def _of_layer(table: AnnData, layer: str, scores: pd.DataFrame | None) -> dict[str, Rating]:
    if f"{layer}_{VERDICT}" in table.var:
        words = table.var[f"{layer}_{VERDICT}"].astype(object)
        numbers = as_numbers(table.var[f"{layer}_{SCORE}"])
        return _ratings(table.var_names, words, numbers)
    name = recorded(table, layer).get("predictor")
    if scores is None or name not in set(scores["predictor"]):
        return {}
    rated = rate_genes(scores, str(name))
    return _ratings(rated.index, rated["verdict"].astype(object), rated["score"].to_numpy(dtype=float))


def _ratings(genes: Sequence[str], words: Sequence[object], numbers: np.ndarray) -> dict[str, Rating]:
    return {
        str(gene): Rating(None if pd.isna(word) else VERDICTS.get(str(word), str(word)), _number(number))
        for gene, word, number in zip(genes, words, numbers, strict=True)
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
