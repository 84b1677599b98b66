"""Normalize counts to a common depth and take logarithms."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import scipy.sparse as sp

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import get_counts
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, check_layer_size, record
from spatialhist.pp._expression.normalize import log1p_counts

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
        Counts; X if None. What holds values that are no whole numbers is taken as it is, with a warning.
    key_added
        Name of the new layer.
    table_key
        Name of the table.
    max_layer_gb
        Refuse to add a larger layer; a sparse one is always added.

    Returns
    -------
    None
        Adds the float32 layer ``key_added``, sparse where the counts are. Spots without any count stay 0, those of
        slides to be predicted among them. Values that are not finite stay, and do not count in the total.

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
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    check_key(key_added)
    counts = get_counts(cohort, layer, step="sh.pp.log_normalize(sdata")
    if not sp.issparse(counts):
        check_layer_size(*table.shape, max_layer_gb=max_layer_gb)
    table.layers[key_added] = log1p_counts(counts, target_sum)
    record(table, key_added, {"target_sum": float(target_sum), "layer": layer or "X"})
    logger.info("added layers[%r]: log(1 + counts per %g)", key_added, target_sum)
