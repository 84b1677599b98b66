"""Regress the depth of spots out of expression."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import known_depth, refuse_missing
from spatialhist._sdata.layers import (
    MAX_LAYER_GB,
    check_key,
    check_layer_size,
    dense_columns,
    get_layer,
    record,
    recorded,
)
from spatialhist.pp._expression.depth import divided_by_depth, spots_by_slide

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def regress_depth(
    sdata: SpatialData,
    *,
    layer: str = _keys.LOG1P,
    depth: str | None = None,
    key_added: str | None = None,
    table_key: str = _keys.TABLE,
    max_layer_gb: float = MAX_LAYER_GB,
) -> None:
    """Regress the depth of spots out of a layer, for each slide alone.

    Log total counts of the spot and its square are regressed out of every gene. Depth follows cellularity, which H&E
    shows, and much of a correlation with ``log1p`` is earned by it alone. A model that is trained on this layer answers
    the question what a spot expresses beyond its depth; a model that is trained on ``log1p`` is also rewarded for
    predicting the depth. Scores of the two are not comparable, since they are scored against different measurements.

    Parameters
    ----------
    sdata
        The cohort.
    layer
        What depth is regressed out of, ``"log1p"`` or another layer that was made from counts.
    depth
        Column of ``obs`` with the total counts of every spot. None for the sums of the counts that the layer was made from
        (else of ``X`` or ``layers["counts"]`` where they hold counts), or else ``obs["total_counts"]``.
    key_added
        Name of the new layer; ``"{layer}_beyond_depth"`` if None.
    table_key
        Name of the table.
    max_layer_gb
        Refuse to add a larger layer.

    Returns
    -------
    None
        Adds the dense float32 layer ``key_added``. Every gene keeps its mean over the slide. It is NaN for spots that
        were not measured or are marked by :func:`filter_spots`, and for genes that a slide did not measure.

    Raises
    ------
    KeyError
        If there is no such layer or column.
    ValueError
        If the depth is not known, since no counts lie behind the layer; if a spot holds values that are not finite, or
        no count at all; or if no spot was measured.
    MemoryError
        If the layer would be larger than ``max_layer_gb``.

    Notes
    -----
    No slide has a part in the values of another one.

    Examples
    --------
    >>> import numpy as np, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.log_normalize(sdata)
    >>> sh.pp.regress_depth(sdata)
    >>> depth = np.log1p(np.ravel(sdata["table"].X.sum(axis=1)))
    >>> values = sdata["table"].layers["log1p_beyond_depth"]
    >>> bool(abs(np.corrcoef(depth, values[:, 0])[0, 1]) < 1e-4)
    True
    """
    key = key_added or f"{layer}_beyond_depth"
    check_key(key)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    matrix = get_layer(table, layer)
    check_layer_size(*table.shape, max_layer_gb=max_layer_gb)
    spots = spots_by_slide(cohort.every_slide())
    known = known_depth(cohort, layer, spots, depth)
    refuse_missing(cohort, layer, np.asarray(matrix.sum(axis=1)).ravel(), spots)
    beyond = np.full(table.shape, np.nan, dtype=np.float32)
    for slide, rows in spots.items():
        genes = np.flatnonzero(cohort.slide(slide).genes_measured)
        level, _, rest = divided_by_depth(dense_columns(matrix, rows, genes).astype(np.float64), known[rows])
        beyond[np.ix_(rows, genes)] = level + rest
    table.layers[key] = beyond
    made = {k: v for k, v in recorded(table, layer).items() if k == "smoothed"}
    record(table, key, {**made, "layer": layer, "unit": f"{layer} beyond depth"})
    logger.info("added layers[%r]: %s with depth regressed out of each slide", key, layer)
