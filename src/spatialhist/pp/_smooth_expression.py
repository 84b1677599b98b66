"""Average a layer over neighboring spots."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice, check_range
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, check_layer_size, get_layer, record, recorded
from spatialhist._sdata.values import as_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

Weights = Literal["gaussian", "uniform"]

MIN_TISSUE_BETWEEN = 0.75
"""Share of the line between two spots that must lie on tissue: a tear or lumen of a quarter of the spacing parts them."""
SAMPLES = 16
"""Points of that line at which the mask is looked up."""
SPOTS_TRIED = 500
"""Spots that tell how much a sparse layer fills up."""


def smooth_expression(
    sdata: SpatialData,
    *,
    layer: str = _keys.RANKS,
    weights: Weights = "gaussian",
    radius: tuple[str, float] | None = None,
    n_neighs: int | None = None,
    key_added: str | None = None,
    table_key: str = _keys.TABLE,
    max_layer_gb: float = MAX_LAYER_GB,
) -> None:
    """Replace every value by the weighted mean of a spot and its neighbors on the same piece of tissue.

    Parameters
    ----------
    sdata
        The cohort, with the graph of :func:`spatialhist.pp.spot_distances`.
    layer
        What is smoothed.
    weights
        ``"uniform"``, or ``"gaussian"`` in the distance with a standard deviation of one spot spacing. The spot itself
        counts as a neighbor at distance 0.
    radius
        Use only neighbors this near, ``("pitch" | "um" | "px", r)``; all neighbors of the graph if None.
    n_neighs
        Use only the nearest neighbors, at most this many; all if None.
    key_added
        Name of the new layer; ``"{layer}_smooth"`` if None.
    table_key
        Name of the table.
    max_layer_gb
        Refuse to add a larger layer.

    Returns
    -------
    None
        Adds the float32 layer ``key_added``, sparse where ``layer`` is. NaN stay NaN and do not count in their
        neighbors. A sparse layer fills up: a spot stores what any of its neighbors stores.

    Raises
    ------
    KeyError
        If the layer or the graph is missing.
    ValueError
        If ``radius`` is larger than the graph's, or ``n_neighs`` is below 1.
    MemoryError
        If the layer would be larger than ``max_layer_gb``.

    Notes
    -----
    Slides are never mixed. Where a slide has a tissue mask, two spots count as neighbors only if at least three
    quarters of the line between them lies on tissue, so nothing is averaged across a gap.

    A smoothed layer is easier to predict than what was measured; it is recorded as smoothed, and
    :func:`spatialhist.tl.evaluate` refuses it as truth.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.log_normalize(sdata)
    >>> sh.pp.spot_distances(sdata)
    >>> sh.pp.smooth_expression(sdata, layer="log1p")
    >>> "log1p_smooth" in sdata["table"].layers
    True
    """
    check_choice("weights", weights, Weights)
    check_range("n_neighs", 1 if n_neighs is None else n_neighs, 1)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    key = key_added or f"{layer}_smooth"
    check_key(key)
    values = get_layer(table, layer)
    if not sp.issparse(values):
        check_layer_size(*table.shape, max_layer_gb=max_layer_gb)
    averaging = _averaging(table, cohort.every_slide(), weights, radius, n_neighs)
    if sp.issparse(values):
        _check_filled(averaging, values, max_layer_gb)
    table.layers[key] = _average(averaging, values)
    params = {"weights": weights, "radius": radius and [str(r) for r in radius], "n_neighs": n_neighs}
    masked = [slide.name for slide in cohort.every_slide() if slide.has_tissue]
    record(table, key, {**recorded(table, layer), **params, "layer": layer, "smoothed": True, "edge_aware": masked})
    logger.info("added layers[%r]: %s smoothed, %s weights", key, layer, weights)


def _averaging(
    table: AnnData,
    slides: Sequence[Slide],
    weights: Weights,
    radius: tuple[str, float] | None,
    n_neighs: int | None,
) -> sp.csr_matrix:
    """Return the matrix that averages, rows not yet normalized; it respects the gaps of slides with a tissue mask."""
    facts = recorded(table, _keys.DISTANCES).get("slides", {})
    if _keys.DISTANCES not in table.obsp or any(slide.name not in facts for slide in slides):
        raise KeyError("the table has no graph of neighboring spots: make it with sh.pp.spot_distances(sdata)")
    graph = as_matrix(table.obsp[_keys.DISTANCES], f"obsp[{_keys.DISTANCES!r}]")
    in_um = recorded(table, _keys.DISTANCES)["unit"] == "um"
    blocks = []
    for slide in slides:
        of_graph = facts[slide.name]
        edges = sp.coo_matrix(graph[slide.rows][:, slide.rows])
        length = edges.data / of_graph["mpp"] if in_um else edges.data
        keep = _near(slide, length, radius, of_graph["radius_px"])
        if slide.has_tissue:
            keep &= _on_tissue(slide, edges.row, edges.col)
        block = sp.csr_matrix((length[keep], (edges.row[keep], edges.col[keep])), shape=edges.shape)
        block = block if n_neighs is None else _nearest(block, n_neighs)
        blocks.append(_weigh(block, weights, of_graph.get("pitch_px")))
    # blocks lie slide by slide: back into the order of the table
    rows = np.argsort(np.concatenate([slide.rows for slide in slides]))
    return sp.block_diag(blocks, format="csr")[rows][:, rows]


def _near(slide: Slide, length: np.ndarray, radius: tuple[str, float] | None, limit: float) -> np.ndarray:
    if radius is None:
        return np.ones(len(length), dtype=bool)
    wanted = slide.scale.px(radius, slide.name)
    # the same length in other units differs by rounding
    if wanted > limit * (1 + 1e-6):
        raise ValueError(
            f"radius={radius} is {wanted:.1f} px on slide {slide.name!r}, but the graph ends at {limit:.1f} px: "
            f"call sh.pp.spot_distances(sdata, radius={radius}) before"
        )
    return length <= wanted


def _on_tissue(slide: Slide, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Boolean per edge: enough of it lies on tissue."""
    mask, pixel = slide.tissue
    xy = slide.centers() / pixel
    found = np.zeros(len(start))
    # middles of stretches: neither spot itself, which may lie on the border of the mask
    for t in (np.arange(SAMPLES) + 0.5) / SAMPLES:
        x, y = np.floor(xy[start] * (1 - t) + xy[stop] * t).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
        found[inside] += mask[y[inside], x[inside]]
    return found >= MIN_TISSUE_BETWEEN * SAMPLES


def _nearest(block: sp.csr_matrix, n_neighs: int) -> sp.csr_matrix:
    """Keep the ``n_neighs`` shortest edges of every row."""
    coo = block.tocoo()
    edges = pd.DataFrame({"row": coo.row, "length": coo.data, "column": coo.col})
    # by column last, so that neighbors at one distance are always taken in the same order
    kept = edges.sort_values(["row", "length", "column"]).groupby("row").head(n_neighs)
    return sp.csr_matrix((kept["length"], (kept["row"], kept["column"])), shape=block.shape)


def _weigh(block: sp.csr_matrix, weights: Weights, pitch_px: float | None) -> sp.csr_matrix:
    """Turn distances into weights and add the spot itself."""
    near = block.copy()
    near.data = np.ones_like(near.data) if weights == "uniform" else np.exp(-0.5 * (near.data / (pitch_px or 1.0)) ** 2)
    return near + sp.eye(block.shape[0], format="csr")


def _check_filled(averaging: sp.csr_matrix, values: Any, max_layer_gb: float) -> None:
    """Refuse a sparse layer that would be too large, by what evenly spread spots would store."""
    n = averaging.shape[0]
    tried = np.unique(np.linspace(0, n - 1, min(n, SPOTS_TRIED)).astype(int))
    # a value and its column take eight bytes
    size = (averaging[tried] @ values).nnz / len(tried) * n * 8 / 1e9
    if size > max_layer_gb:
        raise MemoryError(
            f"a spot stores what any of its neighbors stores: the smoothed layer needs about {size:.2g} GB, more than "
            f"max_layer_gb={max_layer_gb:g}: narrow the table with sh.pp.select_genes(sdata, n=2000, subset=True)"
        )


def _average(averaging: sp.csr_matrix, values: Any) -> Any:
    """Apply row-normalized weights; NaN neither count nor change."""
    weights = averaging.astype(np.float32)
    if sp.issparse(values):
        total = np.asarray(weights.sum(axis=1)).ravel()
        return sp.diags(1 / total).astype(np.float32) @ weights @ values.astype(np.float32)
    known = np.isfinite(values)
    total = weights @ np.where(known, values, 0).astype(np.float32)
    # a spot without known neighbors is NaN below, so any divisor above 0 will do
    return np.where(known, total / np.maximum(weights @ known.astype(np.float32), 1e-12), np.nan).astype(np.float32)
