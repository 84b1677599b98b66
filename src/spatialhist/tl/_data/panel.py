"""Which genes a fold models, and their values as targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.counts import counts_behind
from spatialhist._sdata.layers import dense_columns, gene_positions, get_layer, recorded

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide


def slide_means(
    table: AnnData, slides: Sequence[Slide], rows: dict[str, np.ndarray], layer: str
) -> dict[str, np.ndarray]:
    """Mean log1p expression of every gene per slide (counts per 10,000).

    Where no counts lie behind the layer, the means of the layer itself, of which no further logarithm is taken.
    """
    from scipy.sparse import csr_matrix

    from spatialhist.pp._expression.normalize import log1p_counts

    counts = counts_behind(table, slides, layer)
    if counts is None:
        values = target_source(table, layer)[0]
        return {s: np.asarray(values[r].mean(axis=0)).ravel() for s, r in rows.items()}
    return {s: np.asarray(log1p_counts(csr_matrix(counts[r]), 1e4).mean(axis=0)).ravel() for s, r in rows.items()}


def choose_panel(
    means: dict[str, np.ndarray], measured: dict[str, np.ndarray], slides: Sequence[str], n: int
) -> np.ndarray:
    """Choose the genes of highest mean expression over some slides, as sorted positions in the table.

    Every slide counts the same, however many spots it has. A gene that one of the slides did not measure is no
    candidate.
    """
    everywhere = measured_everywhere(measured, slides)
    mean = np.where(everywhere, np.mean([means[s] for s in slides], axis=0), -np.inf)
    n = min(n, int(everywhere.sum()))
    # stable: of genes that are equal, the first of the table is taken on every machine
    return np.sort(np.argsort(-mean, kind="stable")[:n])


def measured_everywhere(measured: dict[str, np.ndarray], slides: Sequence[str]) -> np.ndarray:
    """Boolean per gene: every one of the slides measured it.

    Raises
    ------
    ValueError
        If there is no such gene.
    """
    everywhere = np.logical_and.reduce([measured[s] for s in slides])
    if not everywhere.any():
        raise ValueError(
            f"no gene was measured on all of the slides {list(slides)}: compare their genes, "
            "sdata['table'].varm['measured'], and leave some out with slides="
        )
    return everywhere


def fold_panels(
    table: AnnData,
    slides: Sequence[Slide],
    rows: dict[str, np.ndarray],
    training: dict[str, list[str]],
    genes: int | Sequence[str],
    layer: str,
    always: str | Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Positions of each fold's genes in the table.

    Parameters
    ----------
    table
        Holds the counts.
    slides
        The slides.
    rows
        Rows of the table, per slide.
    training
        Slides that each fold trains on; nothing else is looked at.
    genes
        Size of the panel, or names, of which a fold models those that its training slides measured.
    layer
        What is predicted; the panel is chosen by the counts that it was made from.
    always
        Names that are added to every panel of a fold whose training slides measured them.

    Raises
    ------
    ValueError
        If no gene is left, or the number is not positive.
    """
    measured = {s.name: s.genes_measured for s in slides}
    added = _named_panels(table, measured, training, always) if len(always) else {}
    if isinstance(genes, int | np.integer):
        if genes < 1:
            raise ValueError(f"genes={genes} must be at least 1, or a list of names")
        means = slide_means(table, slides, rows, layer)
        panels = {fold: choose_panel(means, measured, names, int(genes)) for fold, names in training.items()}
    else:
        panels = _named_panels(table, measured, training, genes)
    return {fold: np.union1d(panel, added[fold]) if added else panel for fold, panel in panels.items()}


def _named_panels(
    table: AnnData, measured: dict[str, np.ndarray], training: dict[str, list[str]], genes: str | Sequence[str]
) -> dict[str, np.ndarray]:
    """Those of the named genes that all training slides of a fold measured."""
    named = np.sort(gene_positions(table, genes))
    panels = {fold: named[measured_everywhere(measured, names)[named]] for fold, names in training.items()}
    empty = [fold for fold, panel in panels.items() if not len(panel)]
    if empty:
        raise ValueError(
            f"none of the {len(named)} named genes was measured on all training slides of fold {empty[0]!r}"
        )
    return panels


def refuse_missing_values(
    table: AnnData, slides: Sequence[Slide], rows: dict[str, np.ndarray], layer: str, columns: np.ndarray
) -> None:
    """Refuse targets that are NaN or infinite, for genes that a slide measured.

    Raises
    ------
    ValueError
        Naming slide and layer.
    """
    matrix, ranking = target_source(table, layer)
    source = layer if ranking is None else recorded(table, layer)["layer"]
    for slide in slides:
        known = columns[slide.genes_measured[columns]]
        bad = ~np.isfinite(dense_columns(matrix, rows[slide.name], known)).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{bad.sum()} spots of slide {slide.name!r} are NaN or infinite in layer {source!r} of table "
                f"{slide.table_key!r}: drop them with sh.pp.filter_spots(sdata, layer={source!r}, "
                f"table_key={slide.table_key!r}, min_counts=0, min_tissue=0)"
            )


def target_source(table: AnnData, layer: str) -> tuple[Any, dict[str, Any] | None]:
    """Matrix that targets are taken from, and how to rank it within a panel (None for targets taken as they are).

    Ranks depend on the genes that are ranked, so ``layers["ranks"]`` itself is no target: the way it was made is used
    to rank the panel of each fold, for training and truth alike.
    """
    params = recorded(table, layer)
    # smoothed ranks are averages over neighbors, which cannot be taken within a panel: they are targets as they are
    if not {"method", "scale", "layer"} <= set(params) or params.get("smoothed"):
        return get_layer(table, layer), None
    return get_layer(table, params["layer"]), {"method": params["method"], "scale": params["scale"]}


def make_targets(values: np.ndarray, ranking: dict[str, Any] | None) -> np.ndarray:
    """Values of a panel ``(n, genes)`` as targets: as they are, or ranked within each spot."""
    if ranking is None:
        return values
    from spatialhist.pp._expression.ranks import rank_rows

    return rank_rows(values, **ranking).astype(np.float32)
