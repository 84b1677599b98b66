"""Narrow the table to the genes worth keeping."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import get_counts
from spatialhist._sdata.layers import record
from spatialhist._sdata.subset import keep_genes
from spatialhist.pp._expression.normalize import log1p_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

By = Literal["mean", "variance"]

TARGET_SUM = 1e4
"""Counts that a spot is scaled to before the logarithm, as by default in ``log_normalize``."""


def select_genes(
    sdata: SpatialData,
    *,
    n: int = 2000,
    by: By = "mean",
    subset: bool = False,
    layer: str | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    """Mark, or keep, the genes with the highest mean or variance of log expression.

    Parameters
    ----------
    sdata
        The cohort.
    n
        How many genes; all where there are fewer.
    by
        ``"mean"`` or ``"variance"`` of log(1 + counts per 10,000) over the measured spots of a slide, averaged over the
        slides that measured the gene, so that a slide with many spots counts no more than one with few.
    subset
        Replace the table in ``sdata`` by one with these genes alone; a table taken out of ``sdata`` before is not
        changed.
    layer
        Counts; X if None. What holds values that are no whole numbers is taken as it is, with a warning.
    table_key
        Name of the table.

    Returns
    -------
    None
        Adds ``var["selected"]``, and with ``subset`` drops the genes where it is False.

    Raises
    ------
    ValueError
        If ``n`` is below 1, ``by`` is unknown, or no spot is measured.

    Notes
    -----
    This looks at every slide and is meant for making a large table small. The panel a model is trained and scored on is
    chosen inside each fold of :func:`spatialhist.tl.cross_validate`, on training slides alone.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.select_genes(sdata, n=10, subset=True)
    >>> sdata["table"].n_vars
    10
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1")
    check_choice("by", by, By)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    scores = _scores(cohort.every_slide(), get_counts(cohort, layer, step="sh.pp.select_genes(sdata"), by)
    # stable, so that genes of equal scores are taken in the order of the table
    best = np.argsort(-scores, kind="stable")[:n]
    table.var["selected"] = np.isin(np.arange(table.n_vars), best)
    record(table, "select_genes", {"n": n, "by": by, "layer": layer or "X"})
    if subset:
        keep_genes(cohort, table.var["selected"].to_numpy())
    logger.info("added var['selected']: %d of %d genes by %s%s", len(best), len(scores), by, ", kept" * subset)


def _scores(slides: Sequence[Slide], counts: Any, by: By) -> np.ndarray:
    """Score every gene: the mean over the slides that measured it, -inf where none did."""
    total, n = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    for slide in slides:
        rows = slide.rows[slide.measured]
        if len(rows) == 0:
            continue
        known = slide.genes_measured
        total[known] += _moment(log1p_counts(counts[rows], TARGET_SUM), by)[known]
        n += known
    if not n.any():
        raise ValueError("no spot is measured (obs['measured'] is False everywhere), so genes cannot be compared")
    return np.divide(total, n, out=np.full(len(total), -np.inf), where=n > 0)


def _moment(matrix: Any, by: By) -> np.ndarray:
    """Mean or variance of every column of a dense or sparse matrix."""
    mean = np.asarray(matrix.mean(axis=0, dtype=np.float64)).ravel()
    if by == "mean":
        return mean
    squares = matrix.multiply(matrix) if hasattr(matrix, "multiply") else matrix * matrix
    return np.asarray(squares.mean(axis=0, dtype=np.float64)).ravel() - mean**2
