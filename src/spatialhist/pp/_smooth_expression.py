"""Average a layer over neighboring spots."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice, check_range
from spatialhist._sdata.cohort import Cohort, open_cohort
from spatialhist._sdata.geometry import spot_pixels
from spatialhist._sdata.images import image_key, tissue_mask
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, check_layer_size, get_layer, record, recorded
from spatialhist._sdata.scale import scale
from spatialhist._sdata.values import as_matrix

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

Weights = Literal["gaussian", "uniform"]

MIN_TISSUE_BETWEEN = 0.75
"""Share of the line between two spots that must lie on tissue: a tear or lumen of a quarter of the spacing parts them."""
SAMPLES = 16
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
    averaging, masked = _averaging(cohort, weights, radius, n_neighs)
    if sp.issparse(values):
        _check_filled(averaging, values, max_layer_gb)
    table.layers[key] = _average(averaging, values)
    params = {"weights": weights, "radius": radius and [str(r) for r in radius], "n_neighs": n_neighs}
    record(table, key, {**recorded(table, layer), **params, "layer": layer, "smoothed": True, "edge_aware": masked})
    logger.info("added layers[%r]: %s smoothed, %s weights", key, layer, weights)


def _averaging(
    cohort: Cohort, weights: Weights, radius: tuple[str, float] | None, n_neighs: int | None
) -> tuple[sp.csr_matrix, list[str]]:
    """Return the matrix that averages, rows not yet normalized, and the slides whose gaps it respects."""
    graph = cohort.table.obsp.get(_keys.DISTANCES)
    graph = None if graph is None else as_matrix(graph, f"obsp[{_keys.DISTANCES!r}]")
    facts = recorded(cohort.table, _keys.DISTANCES).get("slides", {})
    if graph is None or any(slide not in facts for slide in cohort.slides):
        raise KeyError("the table has no graph of neighboring spots: make it with sh.pp.spot_distances(sdata)")
    in_um = recorded(cohort.table, _keys.DISTANCES)["unit"] == "um"
    blocks, masked = [], []
    for slide in cohort.slides:
        rows = cohort.rows(slide)
        edges = sp.coo_matrix(graph[rows][:, rows])
        length = edges.data / facts[slide]["mpp"] if in_um else edges.data
        keep = _near(cohort, slide, length, radius, facts[slide]["radius_px"])
        on_tissue = _on_tissue(cohort, slide, edges.row, edges.col)
        masked += [slide] if on_tissue is not None else []
        keep &= True if on_tissue is None else on_tissue
        block = sp.csr_matrix((length[keep], (edges.row[keep], edges.col[keep])), shape=edges.shape)
        block = block if n_neighs is None else _nearest(block, n_neighs)
        blocks.append(_weigh(block, weights, facts[slide].get("pitch_px")))
    rows = np.argsort(np.concatenate([cohort.rows(slide) for slide in cohort.slides]))
    return sp.block_diag(blocks, format="csr")[rows][:, rows], masked


def _near(cohort: Cohort, slide: str, length: np.ndarray, radius: tuple[str, float] | None, limit: float) -> np.ndarray:
    if radius is None:
        return np.ones(len(length), dtype=bool)
    wanted = scale(cohort.sdata, slide).px(radius, slide)
    if wanted > limit * (1 + 1e-6):
        raise ValueError(
            f"radius={radius} is {wanted:.1f} px on slide {slide!r}, but the graph ends at {limit:.1f} px: "
            f"call sh.pp.spot_distances(sdata, radius={radius}) before"
        )
    return length <= wanted


def _on_tissue(cohort: Cohort, slide: str, start: np.ndarray, stop: np.ndarray) -> np.ndarray | None:
    """Boolean per edge: enough of it lies on tissue; None for a slide without a mask."""
    image = _keys.image(slide)
    if image not in cohort.sdata.images or _keys.tissue(image) not in cohort.sdata.labels:
        return None
    mask, pixel = tissue_mask(cohort.sdata, slide)
    xy = spot_pixels(cohort.sdata, cohort.table, slide, image_key(cohort.sdata, slide)) / pixel
    found = np.zeros(len(start))
    for t in (np.arange(SAMPLES) + 0.5) / SAMPLES:
        x, y = np.floor(xy[start] * (1 - t) + xy[stop] * t).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
        found[inside] += mask[y[inside], x[inside]]
    return found >= MIN_TISSUE_BETWEEN * SAMPLES


def _nearest(block: sp.csr_matrix, n_neighs: int) -> sp.csr_matrix:
    """Keep the ``n_neighs`` shortest edges of every row."""
    coo = block.tocoo()
    order = np.lexsort((coo.col, coo.data, coo.row))
    starts = np.concatenate([[0], np.cumsum(np.bincount(coo.row, minlength=block.shape[0]))])
    place = np.arange(len(order)) - starts[coo.row[order]]
    kept = order[place < n_neighs]
    return sp.csr_matrix((coo.data[kept], (coo.row[kept], coo.col[kept])), shape=block.shape)


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
        return (
            sp.diags(1 / np.asarray(weights.sum(axis=1)).ravel()).astype(np.float32)
            @ weights
            @ values.astype(np.float32)
        )
    known = np.isfinite(values)
    total = weights @ np.where(known, values, 0).astype(np.float32)
    return np.where(known, total / np.maximum(weights @ known.astype(np.float32), 1e-12), np.nan).astype(np.float32)
