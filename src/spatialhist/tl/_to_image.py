"""Predicted genes as an image element."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import check_key, dense_columns, gene_positions, get_layer
from spatialhist._sdata.maps import add_map, check_map_name, check_map_size

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.images import Pyramid

logger = logging.getLogger(__name__)

REACH = 1 / np.sqrt(2)
"""Radius in spacings at which discs leave no gap on a square lattice, nor on a hexagonal one."""


def to_image(
    sdata: SpatialData,
    genes: str | Sequence[str],
    *,
    slide: str,
    layer: str = _keys.PREDICTED,
    step: float | None = None,
    key_added: str | None = None,
    table_key: str | None = None,
) -> None:
    """Draw genes of a slide into an image that lies on its H&E image, for napari and spatialdata-plot.

    Parameters
    ----------
    sdata
        Object with predictions of :func:`predict_grid` or :func:`predict`.
    genes
        Names; one channel each.
    slide
        Slide id.
    layer
        Layer of predictions.
    step
        Side of a pixel of the map in full-resolution pixels; half the distance of spots if None.
    key_added
        Name of the image; ``"<slide>_<layer>_map"`` if None.
    table_key
        Table of the predictions; that of the slide's grid if None, or the common one where no grid has the layer.

    Returns
    -------
    None
        Added: ``images[key_added]``, multiscale float32 ``(genes, y, x)`` in the units of the layer, placed wherever
        the slide's image is placed.

    Raises
    ------
    KeyError
        If a gene, the layer, the slide or its image is missing.
    ValueError
        If the step is not positive, there is a single spot, or ``key_added`` is that of a picture.
    MemoryError
        If the map is too large for memory.

    Notes
    -----
    A spot covers a disc of its own radius, or as much as closes the gaps of the lattice. A pixel is the mean of the
    spots that cover its center, NaN where there is none; coarser levels average what is known. napari leaves NaN out;
    ``render_images`` of spatialdata-plot refuses it: give it a copy that is filled, for instance
    ``sdata["filled"] = sdata[key].map_over_datasets(lambda level: level.fillna(0))``.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.log_normalize(sdata)
    >>> sh.tl.to_image(sdata, sdata["table"].var_names[:2], slide="S1", layer="log1p")
    >>> sdata["S1_log1p_map"]["scale0"]["image"].dims
    ('c', 'y', 'x')
    """
    key = key_added or _keys.map_image(slide, layer)
    check_key(key)
    check_map_name(sdata, key)
    if table_key is None:
        grids = [k for k in sdata.tables if k.startswith(_keys.grid(slide)) and layer in sdata[k].layers]
        table_key = min(grids, key=len, default=_keys.TABLE)  # the shortest name is that of the whole tissue
    # tables of spots that were laid within something else are named alike
    spots = table_key.removesuffix("_table") if table_key.startswith(_keys.grid(slide)) else slide
    cohort = open_cohort(sdata, spots, table_key=table_key)
    names = [genes] if isinstance(genes, str) else list(genes)
    values = dense_columns(get_layer(cohort.table, layer), cohort.rows(spots), gene_positions(cohort.table, names))
    known = cohort.slide(spots).scale
    if known.pitch_px is None:
        raise ValueError(f"slide {spots!r} has a single spot, which makes no map")
    step = known.pitch_px / 2 if step is None else step
    if not 0 < step < np.inf:
        raise ValueError(f"step={step!r} must be positive")
    radius = max(known.diameter(spots) / 2, REACH * known.pitch_px)
    image = cohort.slide(slide).image()
    points, step_px = image.pixels(cohort.slide(spots).xy), step / image.px
    shape = _shape(image.pyramid, step_px)
    check_map_size(shape, len(names), advice="name fewer genes, or a larger step=")
    raster = rasterize(points, values, radius / image.px, step_px, shape)
    add_map(sdata, key, raster, names=names, image=image.pyramid.key, step=step_px)
    logger.info("to_image: added %r, %d genes of %d x %d pixels", key, len(names), *shape[::-1])


def _shape(pyr: Pyramid, step: float) -> tuple[int, int]:
    return math.ceil(pyr.height / step), math.ceil(pyr.width / step)


def rasterize(points: np.ndarray, values: np.ndarray, radius: float, step: float, shape: tuple[int, int]) -> np.ndarray:
    """Average, for every pixel, the points whose disc covers its center.

    Parameters
    ----------
    points
        ``(n, 2)`` as (x, y).
    values
        ``(n, genes)``; NaN where not known.
    radius
        Of the discs, in the units of ``points``.
    step
        Side of a pixel in the same units; pixel ``j`` covers ``[j * step, (j + 1) * step)``.
    shape
        Rows and columns.

    Returns
    -------
    ndarray
        ``(genes, y, x)`` float32; NaN where no disc reaches.
    """
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    y, x = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    # the center of a pixel lies half a pixel from its corner
    near = cKDTree(points).query_ball_point((np.column_stack([x, y]) + 0.5) * step, radius)
    ends = np.cumsum([0, *map(len, near)])
    covers = csr_matrix((np.ones(ends[-1]), np.concatenate(near).astype(int), ends), shape=(len(near), len(points)))
    known = np.isfinite(values)
    total, count = covers @ np.where(known, values, 0.0), covers @ known.astype(float)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean.T.reshape(-1, *shape).astype(np.float32)
