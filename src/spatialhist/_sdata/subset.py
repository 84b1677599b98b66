"""Dropping spots and genes, with everything that belongs to them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.elements import put_element
from spatialhist._sdata.layers import with_genes
from spatialhist._sdata.own_shapes import spots_key
from spatialhist._sdata.values import as_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData

    from spatialhist._sdata.cohort import Cohort

logger = logging.getLogger(__name__)


def keep_spots(cohort: Cohort, keep: np.ndarray) -> AnnData:
    """Put a table with some of its rows in the place of a cohort's table, and drop the other spots everywhere.

    Their circles go, and so do the rows of every other table that annotates these circles.

    Parameters
    ----------
    cohort
        The cohort; its own table stays as it is.
    keep
        Boolean per row of the table.

    Returns
    -------
    AnnData
        The new table.
    """
    table = _annotated(cohort.table[keep].copy())
    for slide in cohort.slides:
        _drop_spots(cohort, slide, _gone(cohort, slide, keep))
    put_element(cohort.sdata.tables, cohort.table_key, table)
    return table


def _gone(cohort: Cohort, slide: str, keep: np.ndarray) -> pd.Index:
    """Ids of the spots of a slide that are dropped, as text."""
    rows = cohort.rows(slide)
    ids = cohort.spot_ids().astype(str)
    # an id that another row of the table keeps stays a circle
    return ids[rows[~keep[rows]]].difference(ids[rows[keep[rows]]])


def _drop_spots(cohort: Cohort, slide: str, gone: pd.Index) -> None:
    """Drop circles, and their rows in other tables than the cohort's own."""
    if not len(gone):
        return
    sdata, key = cohort.sdata, spots_key(cohort.sdata, slide)
    shapes = sdata.shapes[key]
    put_element(sdata.shapes, key, shapes[~as_ids(shapes.index).astype(str).isin(gone)])
    for key in [key for key in sdata.tables if key != cohort.table_key]:
        table = sdata.tables[key]
        lost = _annotates(table, slide, gone)
        if lost.any():
            put_element(sdata.tables, key, _annotated(table[~lost].copy()))
            logger.info("dropped %d spots of slide %s from table %r, too", lost.sum(), slide, key)


def _annotates(table: AnnData, slide: str, ids: pd.Index) -> np.ndarray:
    """Boolean per row of any table: it belongs to one of these spots of a slide."""
    from spatialdata.models import TableModel

    keys = table.uns.get(TableModel.ATTRS_KEY)
    if keys is None:
        return np.zeros(table.n_obs, dtype=bool)
    of_slide = (table.obs[keys[TableModel.REGION_KEY_KEY]] == slide).to_numpy(dtype=bool)
    of_slide[of_slide] = as_ids(table.obs[keys[TableModel.INSTANCE_KEY]][of_slide]).astype(str).isin(ids)
    return of_slide


def _annotated(table: AnnData) -> AnnData:
    """The table, which names the slides that it still has spots of."""
    import spatialdata as sd

    sd.SpatialData.update_annotated_regions_metadata(table)
    return table


def add_genes(cohort: Cohort, genes: Sequence[str]) -> AnnData:
    """Put a table with further genes in the place of a cohort's table, and return it; see :func:`with_genes`."""
    table = with_genes(cohort.table, genes)
    if table is not cohort.table:
        put_element(cohort.sdata.tables, cohort.table_key, table)
    return table


def keep_genes(cohort: Cohort, keep: np.ndarray) -> AnnData:
    """Put a table with some of its columns in the place of a cohort's table, and return it."""
    table = cohort.table[:, keep].copy()
    put_element(cohort.sdata.tables, cohort.table_key, table)
    return table
