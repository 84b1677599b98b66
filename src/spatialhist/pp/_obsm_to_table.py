"""Make an entry of ``obsm`` a table of its own, to be trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from spatialhist import _keys
from spatialhist._sdata.added_tables import check_free, put_table
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.composition import is_composition
from spatialhist._sdata.counts import TOTAL_COUNTS, counts_behind
from spatialhist._sdata.layers import carry_records, check_key, record
from spatialhist._sdata.values import as_matrix, finite_rows

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

STEP = "obsm_to_table"
OF_SPOTS = (_keys.REGION, _keys.INSTANCE, _keys.PATIENT, _keys.IN_TISSUE, _keys.SPOT_QC, "array_row", "array_col")
"""Columns of ``obs`` that the new table shares."""


def obsm_to_table(
    sdata: SpatialData,
    key: str,
    *,
    key_added: str,
    names: Sequence[str] | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    """Make cell-type abundances, proportions or signatures of ``obsm`` a table of their own, on the same spots.

    Every function takes that table by ``table_key=``: train on it with
    ``sh.tl.cross_validate(sdata, table_key=key_added, layer="X")``.

    Parameters
    ----------
    sdata
        The cohort.
    key
        Entry of ``obsm``: an array, a sparse matrix or a data frame, a column a target.
    key_added
        Name of the new table. One that an earlier call made is replaced.
    names
        Of the columns; those of the data frame if None, else the key with a number.
    table_key
        Name of the table that holds the entry.

    Returns
    -------
    None
        Adds ``tables[key_added]`` with the values in ``X`` (float32, sparse where they are), on the same shapes. A spot
        without values has 0 there and is not measured, so that it is predicted and not trained on. Patients, quality and
        neighbors of the spots are those of the first table. ``obs["total_counts"]`` says how deep the spots were
        sequenced, where counts tell it and the values are no composition.

    Raises
    ------
    KeyError
        If there is no such entry.
    ValueError
        If it is no matrix of numbers, names are missing or repeated, no spot has values, or ``key_added`` is taken.

    Notes
    -----
    Values that are not negative and of which every spot has a sum of 1 are a composition: ``uns["spatialhist"]`` and the log
    say so. What one column gains the others lose, so their scores are not independent of each other, and a sum of 1 leaves no
    depth that could be regressed out. Models predict every column by itself; ``sh.tl.predict(..., composition=True)`` clips
    their predictions at 0 and lets them sum to 1.

    Examples
    --------
    >>> import numpy as np, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> tumor = np.linspace(0, 1, sdata["table"].n_obs)
    >>> sdata["table"].obsm["proportions"] = np.column_stack([tumor, 1 - tumor])
    >>> sh.pp.obsm_to_table(sdata, "proportions", key_added="cell_types", names=["tumor", "other"])
    >>> sdata["cell_types"].var_names.tolist()
    ['tumor', 'other']
    """
    check_key(key_added)
    cohort = open_cohort(sdata, table_key=table_key)
    check_free(cohort, key_added, STEP)
    values, named = _values(cohort.table, key, table_key), _names(cohort.table, key, names)
    known = finite_rows(values)
    if not known.any():
        raise ValueError(f"obsm[{key!r}] of table {table_key!r} holds no spot of which all values are known")
    composition = is_composition(values[known])
    table = _table(cohort.table, values, known, named)
    record(table, STEP, {"key": key, "from_table": table_key, "composition": composition})
    if not composition:
        _add_depth(table, cohort.table, cohort.every_slide())
    put_table(sdata, key_added, table, cohort.slides)
    logger.info(
        "added table %r: %d targets on %d spots, %d without values", key_added, len(named), len(known), (~known).sum()
    )
    if composition:
        logger.info("the targets of table %r sum to 1 in every spot: their scores depend on each other", key_added)


def _values(table: AnnData, key: str, table_key: str) -> Any:
    """The entry as a matrix of float32."""
    if key not in table.obsm:
        raise KeyError(f"no obsm[{key!r}] in table {table_key!r}; found {list(table.obsm)}")
    held, name = table.obsm[key], f"obsm[{key!r}]"
    values = as_matrix(held.to_numpy() if isinstance(held, pd.DataFrame) else held, name)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"{name} of table {table_key!r} has shape {values.shape}: want spots x targets")
    # a copy, which the new table may keep
    return values.astype(np.float32)


def _names(table: AnnData, key: str, names: Sequence[str] | None) -> list[str]:
    held = table.obsm[key]
    if names is not None:
        found = [names] if isinstance(names, str) else [str(name) for name in names]
    elif hasattr(held, "columns"):
        found = [str(name) for name in held.columns]
    else:
        found = [f"{key}_{i}" for i in range(held.shape[1])]
    twice = sorted({name for name in found if found.count(name) > 1})
    if len(found) != held.shape[1] or twice:
        what = f"are repeated: {twice[:5]}" if twice else f"are {len(found)} for {held.shape[1]} columns"
        raise ValueError(f"names of obsm[{key!r}] {what}; give each column one of its own by names=")
    return found


def _table(held: AnnData, values: Any, known: np.ndarray, names: list[str]) -> AnnData:
    """Values on the spots of another table, with what it knows of these."""
    import anndata as ad

    columns = [c for c in OF_SPOTS if c in held.obs]
    table = ad.AnnData(_without_gaps(values, known), obs=held.obs[columns].copy(), var=pd.DataFrame(index=names))
    table.obs[_keys.MEASURED] = known
    table.obsm[_keys.SPATIAL] = np.asarray(held.obsm[_keys.SPATIAL]).copy()
    table.obsp.update({key: value for key, value in held.obsp.items() if key.startswith(_keys.SPATIAL)})
    table.uns |= {k: v for k, v in held.uns.items() if k in (_keys.SPATIAL, _keys.NEIGHBORS)}
    slides = held.obs[_keys.REGION].astype(str).unique()
    carry_records(table, held, {s: s for s in slides}, ("filter_spots", _keys.DISTANCES))
    return table


def _without_gaps(values: Any, known: np.ndarray) -> Any:
    """Values with 0 in the rows of spots that have none."""
    if not sp.issparse(values):
        return np.where(known[:, None], values, np.float32(0))
    kept = values.copy()
    # 0 and not NaN: rows without values count as not measured, and sums stay finite
    kept.data[~np.repeat(known, np.diff(kept.indptr))] = 0
    kept.eliminate_zeros()
    return kept


def _add_depth(table: AnnData, held: AnnData, slides: Sequence[Slide]) -> None:
    """Say how deep the spots of a table were sequenced, where the counts of another one tell it."""
    counts = None if held.X is None else counts_behind(held, slides, "X")
    if counts is not None:
        table.obs[TOTAL_COUNTS] = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    elif TOTAL_COUNTS in held.obs:
        table.obs[TOTAL_COUNTS] = held.obs[TOTAL_COUNTS].to_numpy()
