"""Normalize counts to a common depth and take logarithms."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, check_layer_size, get_layer, record

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def log_normalize(
    sdata: SpatialData,
    *,
    target_sum: float = 1e4,
    layer: str | None = None,
    key_added: str = _keys.LOG1P,
    table_key: str = _keys.TABLE,
    max_layer_gb: float = MAX_LAYER_GB,
) -> None:
    """Scale every spot to the same total and take log(1 + x).

    The same values as :func:`scanpy.pp.normalize_total` followed by :func:`scanpy.pp.log1p`, in a layer of its own.

    Parameters
    ----------
    sdata
        The cohort.
    target_sum
        Total of a spot after scaling.
    layer
        Counts; X if None.
    key_added
        Name of the new layer.
    table_key
        Name of the table.
    max_layer_gb
        Refuse to add a larger layer; a sparse one is always added.

    Returns
    -------
    Adds the float32 layer ``key_added``, sparse where the counts are. Spots without any count stay 0, those of slides
    to be predicted among them. Values that are not finite stay, and do not count in the total.

    Raises
    ------
    ValueError
        If there are negative counts or ``target_sum`` is not positive.

    Examples
    --------
    >>> import numpy as np, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.log_normalize(sdata)
    >>> totals = np.expm1(sdata["table"].layers["log1p"]).sum(axis=1)
    >>> float(totals.max().round(-2))
    10000.0
    """
    if not target_sum > 0:
        raise ValueError(f"target_sum={target_sum!r} must be positive")
    table = open_cohort(sdata, table_key=table_key).table
    check_key(key_added)
    counts = get_layer(table, layer)
    if not sp.issparse(counts):
        check_layer_size(*table.shape, max_layer_gb=max_layer_gb)
    table.layers[key_added] = log1p_counts(counts, target_sum)
    record(table, key_added, {"target_sum": float(target_sum), "layer": layer or "X"})
    logger.info("added layers[%r]: log(1 + counts per %g)", key_added, target_sum)


def log1p_counts(counts: Any, target_sum: float) -> Any:
    """Scale the rows of counts ``(n, genes)`` to ``target_sum`` and take log(1 + x); sparse stays sparse, as CSR."""
    scaled: Any = counts.tocsr().astype(np.float32) if sp.issparse(counts) else np.array(counts, dtype=np.float32)
    values: Any = scaled.data if sp.issparse(scaled) else scaled
    if values.size and np.nanmin(values) < 0:
        raise ValueError(f"counts must not be negative; the smallest is {np.nanmin(values):g}: choose layer=")
    factors = _factors(scaled, target_sum)
    if sp.issparse(scaled):
        scaled.data = np.log1p(scaled.data * np.repeat(factors, np.diff(scaled.indptr)))
        return scaled
    return np.log1p(scaled * factors[:, None])


def _factors(counts: Any, target_sum: float) -> np.ndarray:
    """Return the factor of every row, 1 for a row without counts."""
    finite = counts.copy() if sp.issparse(counts) else np.where(np.isfinite(counts), counts, 0)
    if sp.issparse(finite):
        finite.data[~np.isfinite(finite.data)] = 0
    totals = np.asarray(finite.sum(axis=1, dtype=np.float64)).ravel()
    return np.divide(target_sum, totals, out=np.ones_like(totals), where=totals > 0).astype(np.float32)
