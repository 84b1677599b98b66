"""Dropping spots and genes, with everything that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import with_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from spatialhist._sdata.cohort import Cohort


def keep_spots(cohort: Cohort, keep: np.ndarray) -> AnnData:
    """Put a table with some of its rows in the place of a cohort's table, and drop the circles of the other rows.

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
    import spatialdata as sd

    table = cohort.table[keep].copy()
    sd.SpatialData.update_annotated_regions_metadata(table)
    for slide in cohort.slides:
        rows = cohort.rows(slide)
        ids = cohort.table.obs[_keys.INSTANCE].to_numpy()
        gone = np.setdiff1d(ids[rows[~keep[rows]]], ids[rows[keep[rows]]])
        shapes = cohort.sdata.shapes[slide]
        if len(gone):
            put_element(cohort.sdata.shapes, slide, shapes[~shapes.index.isin(gone)])
    _replace_table(cohort, table)
    return table


def add_genes(cohort: Cohort, genes: Sequence[str]) -> AnnData:
    """Put a table with further genes in the place of a cohort's table, and return it; see :func:`with_genes`."""
    table = with_genes(cohort.table, genes)
    if table is not cohort.table:
        _replace_table(cohort, table)
    return table


def keep_genes(cohort: Cohort, keep: np.ndarray) -> AnnData:
    """Put a table with some of its columns in the place of a cohort's table, and return it."""
    table = cohort.table[:, keep].copy()
    _replace_table(cohort, table)
    return table


def _replace_table(cohort: Cohort, table: AnnData) -> None:
    tables = cohort.sdata.tables
    put_element(tables, next(key for key, value in tables.items() if value is cohort.table), table)


def put_element(elements: Any, key: str, value: Any) -> None:
    """Assign an element without the warning about overwriting, which is meant here."""
    if key in elements:
        del elements[key]
    elements[key] = value
