"""What a call may have chosen with the scores of an earlier run on the same object: genes, slides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import dense_columns, get_layer, recorded

if TYPE_CHECKING:
    from anndata import AnnData

CHANCE = 0.01
"""Probability below which genes that were drawn by lot would be as well predicted as those that are named."""
STEP = "cross_validate"
"""Step that writes out-of-fold predictions, and the entry of ``uns`` that lists runs."""


def hindsight(
    table: AnnData, rows: Mapping[str, np.ndarray], layer: str, named: Sequence[str] = (), n_genes: int | None = None
) -> list[str]:
    """What is to be said of genes and slides that may have been chosen by their own scores.

    Parameters
    ----------
    table
        With out-of-fold predictions of earlier runs.
    rows
        Rows of the table that are used, per slide.
    layer
        What is predicted.
    named
        Genes that the call names.
    n_genes
        Size of the panel that is chosen in each fold, None where genes are named.
    """
    earlier = [name for name in layer_names(table) if _predicts(recorded(table, name), layer)]
    found = [*_slides(table, earlier, rows), *_narrowed(table, n_genes)]
    if len(named) and (best := _chosen_by_score(table, earlier, rows, layer, named)):
        found.append(
            f"the {len(named)} genes that are named were predicted better by an earlier run ({best}): if they were chosen by "
            "these scores, the new scores are no longer held-out. genes= as a number chooses them inside every fold"
        )
    return found


def _predicts(made: Mapping[str, Any], layer: str) -> bool:
    return made.get("step") == STEP and made.get("kind") == "model" and made.get("target") == layer


def other_seeds(table: AnnData, recipe: str, seed: int) -> list[str]:
    """What is to be said of runs that differ in nothing but their seed.

    Parameters
    ----------
    table
        With what earlier runs recorded.
    recipe
        Hash of all other parameters.
    seed
        Of the new run.
    """
    before = [int(s) for s in recorded(table, STEP).get("seeds", {}).get(recipe, []) if int(s) != seed]
    if not before:
        return []
    return [
        f"the same run was made on this object with seeds {before}: if the best one is kept, its scores look better than they "
        "are; report all of them, or their mean"
    ]


def with_seed(table: AnnData, recipe: str, seed: int) -> dict[str, list[int]]:
    """Seeds by recipe, as they are recorded, with another one."""
    seeds = dict(recorded(table, STEP).get("seeds", {}))
    return seeds | {recipe: sorted({*(int(s) for s in seeds.get(recipe, [])), seed})}


def _narrowed(table: AnnData, n_genes: int | None) -> Iterator[str]:
    """Say that a step which looks at all slides left folds nothing to choose from."""
    if n_genes is not None and "n" in recorded(table, "select_genes") and table.n_vars <= n_genes:
        yield (
            f"the {table.n_vars} genes of the table are those that sh.pp.select_genes chose on all slides, the scored ones among "
            f"them, so that folds have none to choose from: keep more genes there than genes={n_genes}"
        )


def _slides(table: AnnData, earlier: Sequence[str], rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    held = dict.fromkeys(s for name in earlier for s in recorded(table, name)["slides"])
    if left_out := [s for s in held if s not in rows]:
        yield (
            f"slides {left_out} were in an earlier run on this object and are left out of this one: if they were left out for "
            "their scores, the new ones look better than they are"
        )


def _chosen_by_score(
    table: AnnData, earlier: Sequence[str], rows: Mapping[str, np.ndarray], layer: str, named: Sequence[str]
) -> str:
    """How much better named genes were predicted than others; empty where it may be chance."""
    from scipy.stats import mannwhitneyu

    positions = table.var_names.get_indexer(list(named))
    for name in earlier:
        score = _scores(table, name, rows, layer)
        known = np.isfinite(score)
        chosen = known & np.isin(np.arange(table.n_vars), positions)
        rest = known & ~chosen
        if not (chosen.any() and rest.any()):
            continue
        if mannwhitneyu(score[chosen], score[rest], alternative="greater").pvalue < CHANCE:
            return f"layer {name!r}: mean Pearson {score[chosen].mean():.3f}, {score[rest].mean():.3f} of the others"
    return ""


def _scores(table: AnnData, name: str, rows: Mapping[str, np.ndarray], layer: str) -> np.ndarray:
    """Within-slide Pearson per gene, mean over slides; NaN for genes that were not predicted."""
    predicted, measured = get_layer(table, name), get_layer(table, layer)
    every = np.arange(table.n_vars)
    each = [_pearson(dense_columns(predicted, r, every), dense_columns(measured, r, every)) for r in rows.values()]
    return np.mean(each, axis=0)


def _pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    length = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), length, out=np.where(np.isfinite(length), 0.0, np.nan), where=length > 0)
