"""Spots laid on a slide by us: their circles, and the table that belongs to them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.adopt import fill_thumbnail
from spatialhist._sdata.build import parse_table
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.elements import put_element
from spatialhist._sdata.geometry import apply
from spatialhist._sdata.own_shapes import circles
from spatialhist._sdata.scale import slide_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from spatialhist._sdata.cohort import Cohort
    from spatialhist._sdata.scale import Scale


def add_grid(
    cohort: Cohort, slide: str, points: np.ndarray, *, within: str, genes: Sequence[str], scale: Scale
) -> AnnData:
    """Add circles at points of a slide and a table without measurements.

    A grid of the same spots and genes is gone on with, so that it keeps its layers; another one is replaced.

    The circles lie in the coordinate system of the slide, and in one of their own name, so that the grid is a slide like
    any other for whatever reads its table.

    Parameters
    ----------
    cohort
        With the slide.
    slide
        Slide id.
    points
        Centers ``(n, 2)``, (x, y) in pixels of its H&E image.
    within
        Where they were laid.
    genes
        Columns of the table.
    scale
        Distance of the points and diameter of the circles in pixels of the slide.

    Returns
    -------
    AnnData
        The table, which is in the object already.

    Warns
    -----
    UserWarning
        Naming the layers that are lost with a grid of other spots or genes.
    """
    from scipy.sparse import csr_matrix
    from spatialdata.transformations import Identity

    sdata, key, table_key = cohort.sdata, _keys.grid(slide, within), _keys.grid_table(slide, within)
    xy = apply(cohort.slide(slide).image().to_slide, points)
    if table_key in sdata.tables:
        held = sdata.tables[table_key]
        # the same grid: layers that were predicted on it before stay
        if list(held.var_names) == list(genes) and np.array_equal(held.obsm[_keys.SPATIAL], xy):
            return held
        warnings.warn(
            f"table {table_key!r} is replaced by one of {len(xy)} spots and {len(genes)} genes; with it go its layers "
            f"{layer_names(held)} of {held.n_obs} spots and {held.n_vars} genes",
            stacklevel=3,
        )
    ids, diameter = np.arange(len(xy)), scale.diameter(slide)
    nothing = csr_matrix((len(xy), len(genes)), dtype=np.float32)
    table = parse_table(nothing, xy, ids, key, genes, cohort.slide(slide).patient, False)
    slide_info(sdata, key).update(mpp=scale.mpp, pitch_px=scale.pitch_px, spot_diameter_px=scale.spot_diameter_px)
    fill_thumbnail(table.uns.setdefault(_keys.SPATIAL, {}).setdefault(key, {}), sdata, slide, diameter)
    put_element(sdata.shapes, key, circles(xy, diameter, ids, {slide: Identity(), key: Identity()}))
    put_element(sdata.tables, table_key, table)
    return table
