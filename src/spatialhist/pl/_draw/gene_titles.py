"""What stands above a map of a gene: what is drawn, how well it agrees with what was measured, and how far to trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys, metrics
from spatialhist._sdata.values import as_numbers
from spatialhist.pl._draw.units import is_predicted, target_of

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

FAR = 0.95
"""Out-of-distribution score of every twentieth spot of a further group, if it is like those of training."""


def gene_title(
    table: AnnData, slide: Slide, gene: str, layer: str, values: dict[str, np.ndarray], depth: np.ndarray | None
) -> str:
    """Title of one panel.

    Parameters
    ----------
    table
        Spots and genes.
    slide, gene, layer
        What is drawn.
    values
        Of the layers that are drawn side by side, ``(n,)`` each.
    depth
        Of all spots of the table, None where it is not known.
    """
    what = "predicted" if is_predicted(table, layer) else "measured"
    head = f"{gene} · {slide.name}" + ("" if layer == what else f" · {layer}")
    if what == "measured":
        return f"{head}\nmeasured"
    if not np.isfinite(values[layer]).any():
        return f"{head}\nnot modeled in this fold"
    here = _agreement(table, slide, layer, values, depth)
    trust = _verdict(table, gene, layer) or ("" if here else "\nnot evaluated")
    return f"{head}\npredicted{here}{trust}{_far(table, slide)}"


def _agreement(
    table: AnnData, slide: Slide, layer: str, values: dict[str, np.ndarray], depth: np.ndarray | None
) -> str:
    """Both headlines of the gene on this slide: a correlation alone would not say how much of it is depth."""
    target = target_of(table, layer)
    if target not in values or target == layer:
        return ""
    known = np.isfinite(values[target]) & np.isfinite(values[layer])
    if known.sum() < 3:
        return ""
    both = values[target][known, None], values[layer][known, None]
    r = metrics.pearson(*both)[0]
    if not np.isfinite(r):
        return ""
    beyond = np.nan if depth is None else metrics.pearson_beyond_depth(*both, depth[slide.rows][known])[0]
    return f", r = {r:z.2f}" + (f"\nr = {beyond:z.2f} beyond depth" if np.isfinite(beyond) else "")


def _verdict(table: AnnData, gene: str, layer: str) -> str:
    """How far to trust the gene, from groups that were held out when the model was evaluated."""
    verdict, score = (table.var.get(f"{layer}_{name}") for name in ("verdict", "score"))
    if verdict is None or score is None or not isinstance(verdict[gene], str):
        return ""
    return f"\n{verdict[gene]} (r = {score[gene]:z.2f} held out)"


def _far(table: AnnData, slide: Slide) -> str:
    """Say it in the picture, which travels without the warning."""
    if _keys.OUT_OF_DISTRIBUTION not in table.obs:
        return ""
    scores = as_numbers(table.obs[_keys.OUT_OF_DISTRIBUTION])[slide.rows]
    known = scores[np.isfinite(scores)]
    return f"\n{(known > FAR).mean():.0%} out of distribution" if len(known) else ""
