"""How far counts lie from what the depth of the spot explains."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_range
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import checked_counts
from spatialhist._sdata.layers import MAX_LAYER_GB, check_key, check_layer_size, record
from spatialhist.pp._expression.depth import spots_by_slide

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def pearson_residuals(
    sdata: SpatialData,
    *,
    theta: float = 100.0,
    clip: float | None = None,
    layer: str | None = None,
    key_added: str = _keys.PEARSON_RESIDUALS,
    table_key: str = _keys.TABLE,
    max_layer_gb: float = MAX_LAYER_GB,
) -> None:
    r"""Measure how far each count lies from what the depth of its spot explains, in units of its expected noise.

    These are analytic Pearson residuals :cite:p:`lause2021`, computed by
    :func:`scanpy.experimental.pp.normalize_pearson_residuals` for each slide alone. A model that is trained on them
    answers the question which genes a spot has more of than its depth explains; a model that is trained on ``log1p``
    is also rewarded for predicting the depth. Scores of the two are not comparable, since they are scored against
    different measurements.

    Parameters
    ----------
    sdata
        The cohort.
    theta
        Overdispersion of the negative binomial; smaller is more dispersed.
    clip
        Largest residual, positive and negative; the square root of the number of spots of the slide if None.
    layer
        Counts; X if None.
    key_added
        Name of the new layer.
    table_key
        Name of the table.
    max_layer_gb
        Refuse to add a larger layer.

    Returns
    -------
    None
        Adds the dense float32 layer ``key_added``. It is NaN for spots that were not measured or are marked by
        :func:`filter_spots`, and for genes that a slide did not measure; a gene without any count on a slide is 0.

    Raises
    ------
    ValueError
        If a spot holds values that are no counts, or no count at all, or if no spot was measured.
    MemoryError
        If the layer would be larger than ``max_layer_gb``.

    Notes
    -----
    .. math:: z_{sg} = \frac{x_{sg} - \mu_{sg}}{\sqrt{\mu_{sg} + \mu_{sg}^2 / \theta}}, \quad
        \mu_{sg} = \frac{\sum_g x_{sg} \sum_s x_{sg}}{\sum_{sg} x_{sg}}

    No slide has a part in the values of another one. Input is never densified as a whole, only a slide at a time.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.pearson_residuals(sdata)
    >>> sdata["table"].layers["pearson_residuals"].dtype
    dtype('float32')
    """
    # 0 would divide by 0; infinity is Poisson noise
    check_range("theta", theta, float(np.finfo(np.float32).tiny))
    check_range("clip", 0.0 if clip is None else clip, 0)
    check_key(key_added)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    check_layer_size(*table.shape, max_layer_gb=max_layer_gb)
    spots = spots_by_slide(cohort.every_slide())
    counts = checked_counts(cohort, layer, spots, step="sh.pp.pearson_residuals(sdata")
    residuals = np.full(table.shape, np.nan, dtype=np.float32)
    for slide, rows in spots.items():
        genes = np.flatnonzero(cohort.slide(slide).genes_measured)
        residuals[np.ix_(rows, genes)] = _residuals(counts[rows][:, genes], theta, clip)
    table.layers[key_added] = residuals
    record(table, key_added, {"theta": float(theta), "clip": clip, "layer": layer or "X", "unit": "Pearson residual"})
    logger.info("added layers[%r]: analytic Pearson residuals of each slide", key_added)


def _residuals(counts: Any, theta: float, clip: float | None) -> np.ndarray:
    """Residuals ``(spots, genes)`` of one slide; a gene without any count is as expected."""
    import anndata as ad
    from scanpy.experimental.pp import normalize_pearson_residuals

    # a gene without counts has an expected value of 0, by which scanpy would divide
    found = np.asarray(counts.sum(axis=0)).ravel() > 0
    result = np.zeros(counts.shape, dtype=np.float32)
    limit = np.sqrt(counts.shape[0]) if clip is None else clip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = normalize_pearson_residuals(
            ad.AnnData(counts[:, found].astype(np.float32)), theta=theta, clip=limit, check_values=False, inplace=False
        )
    result[:, found] = made["X"]
    return result
