"""Rank the targets within every spot."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, check_layer_size, get_layer, record
from spatialhist.pp._expression.ranks import Method, Scale, rank_into

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def rank_expression(
    sdata: SpatialData,
    *,
    method: Method = "average",
    scale: Scale = "raw",
    layer: str | None = None,
    key_added: str = _keys.RANKS,
    table_key: str = _keys.TABLE,
    max_layer_gb: float = MAX_LAYER_GB,
) -> None:
    """Rank the targets within every spot, the largest value highest.

    Parameters
    ----------
    sdata
        The cohort.
    method
        How ties are ranked, as in :func:`scipy.stats.rankdata`; ``"ordinal"`` breaks them by the order of the targets.
    scale
        ``"raw"`` ranks 1..K, ``"unit"`` (rank - 0.5) / K, or ``"normal"``, the standard normal quantile of the latter;
        K is the number of targets ranked in the spot, for ``"dense"`` of distinct values.
    layer
        What is ranked; X if None.
    key_added
        Name of the new layer.
    table_key
        Name of the table.
    max_layer_gb
        Refuse to add a larger layer.

    Returns
    -------
    None
        Adds the dense float32 layer ``key_added``. It is NaN where nothing was measured: spots whose
        ``obs["measured"]`` is False, targets that a slide lacks, values that are NaN. These are not counted in K.

    Raises
    ------
    MemoryError
        If the layer would be larger than ``max_layer_gb``.

    Notes
    -----
    Ranks have no inverse: what is trained on this layer predicts ranks. Sparse input is never densified, only the
    result is dense.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.rank_expression(sdata, scale="unit")
    >>> float(sdata["table"].layers["ranks"].max()) < 1
    True
    """
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    check_key(key_added)
    matrix = get_layer(table, layer)
    check_layer_size(*table.shape, max_layer_gb=max_layer_gb)
    ranks, measured = np.empty(table.shape, dtype=np.float32), cohort.measured()
    rows = {slide.name: slide.rows[measured[slide.rows]] for slide in cohort.every_slide()}
    ranks[np.setdiff1d(np.arange(len(ranks)), np.concatenate(list(rows.values())))] = np.nan
    for slide in cohort.every_slide():
        # among the slide's own genes: those it did not measure would be ranked as zeros
        rank_into(ranks, matrix, rows[slide.name], absent=~slide.genes_measured, method=method, scale=scale)
    table.layers[key_added] = ranks
    record(table, key_added, {"method": method, "scale": scale, "layer": layer or "X"})
    logger.info("added layers[%r]: %s ranks, %s scale, of %s", key_added, method, scale, layer or "X")
