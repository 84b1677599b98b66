"""Whether slides call their genes by the same names, before anything is fitted."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist.tl._data.panel import target_source

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

FEW = 0.1
"""Share of the genes of the slide with fewer of them, below which two slides are told to differ."""
SHOWN = 3
ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")


def refuse_other_genes(table: AnnData, slides: Sequence[Slide], rows: Mapping[str, np.ndarray], layer: str) -> None:
    """Refuse slides of which two have no gene in common, and name those that have few.

    Raises
    ------
    ValueError
        With names of both slides.
    """
    names = table.var_names
    held = _held(table, slides, rows, layer)
    few = []
    # floats multiply in BLAS and booleans do not; whole numbers of this size are exact in single precision
    each = np.stack(list(held.values())).astype(np.float32)
    common = (each @ each.T).astype(int)
    for (i, a), (j, b) in itertools.combinations(enumerate(held), 2):
        shared, smaller = common[i, j], min(common[i, i], common[j, j])
        if not shared:
            raise ValueError(_no_common_gene(names, held, a, b))
        if shared < FEW * smaller:
            few.append(f"{a!r} and {b!r} ({shared} of {smaller})")
    if few:
        warnings.warn(
            f"slides share few genes: {', '.join(few)}; compare their names, sdata['table'].var_names",
            stacklevel=4,
        )


def _held(table: AnnData, slides: Sequence[Slide], rows: Mapping[str, np.ndarray], layer: str) -> dict[str, np.ndarray]:
    """Boolean per gene and slide: it was measured, and found in some spot where any gene was.

    Tables that were joined without a note of who measured what are 0 where a slide lacks a gene.
    """
    matrix = target_source(table, layer)[0]
    found = {s.name: np.asarray((matrix[rows[s.name]] != 0).sum(axis=0)).ravel() > 0 for s in slides}
    return {s.name: s.genes_measured & (found[s.name] if found[s.name].any() else True) for s in slides}


def _no_common_gene(names: pd.Index, held: Mapping[str, np.ndarray], a: str, b: str) -> str:
    alike = [s for s in held if (held[s] & held[a]).any()]
    return (
        f"slides {a!r} and {b!r} have no gene in common: {a!r} has {_kind(names[held[a]])}, {b!r} has "
        f"{_kind(names[held[b]])}. Give them names of one kind before they are joined, as in "
        f"part['table'].var_names = part['table'].var['gene_ids'], or take slides={alike}"
    )


def _kind(names: pd.Index) -> str:
    listed = ", ".join(map(repr, names[:SHOWN]))
    ensembl = np.mean([bool(ENSEMBL.match(name)) for name in names]) > 0.5
    return f"Ensembl ids ({listed}, ...)" if ensembl else f"symbols ({listed}, ...)"


def refuse_unmeasured_panels(
    names: pd.Index, slides: Sequence[Slide], assigned: Mapping[str, str], panels: Mapping[str, np.ndarray]
) -> None:
    """Refuse a fold whose genes none of its held-out slides measured, so that nothing could be scored.

    Raises
    ------
    ValueError
        With genes that every slide measured.
    """
    measured = {s.name: s.genes_measured for s in slides}
    everywhere = names[np.logical_and.reduce(list(measured.values()))]
    for slide, group in assigned.items():
        panel = panels[group]
        if not measured[slide][panel].any():
            advice = f"name some that it did, genes={list(everywhere[:SHOWN])}" if len(everywhere) else "leave it out"
            raise ValueError(
                f"slide {slide!r} measured none of the {len(panel)} genes that are modeled where group {group!r} is held "
                f"out ({', '.join(map(repr, names[panel[:SHOWN]]))}, ...): {advice}"
            )
