"""From predicted logarithms back to counts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import add_dense_rows, check_key, check_layer_size, get_layer, record, recorded
from spatialhist._sdata.slides import open_cohort
from spatialhist.tl._apply import Applier, Source
from spatialhist.tl._calibrate import check_predicted_by, groups_of_slides
from spatialhist.tl._fit import Model
from spatialhist.tl._residuals import out_of_fold_residuals, residuals_without, run_of

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def expected_counts(
    sdata: SpatialData,
    source: Source,
    *,
    layer: str = _keys.PREDICTED,
    key_added: str | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    r"""Turn predictions of log1p expression into expected counts per 10,000.

    Parameters
    ----------
    sdata
        Object with predictions of ``source``.
    source
        The cross-validation or stack that predicted them, or its folder.
    layer
        Layer of predictions, such as ``"predicted"`` or ``"oof"``.
    key_added
        Name of the layer to add; None for ``"<layer>_counts"``.
    table_key
        Table of the predictions; ``"S1_grid_table"`` for those of :func:`predict_grid`.

    Returns
    -------
    None. Added: ``layers[key_added]``, spots x genes float32, counts per ``target_sum`` of
    :func:`spatialhist.pp.log_normalize`; NaN where nothing was predicted.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If the layer holds ranks or anything else that is no log1p of counts, if something else predicted it, or if
        ``source`` is a model fitted on everything, which leaves no residuals.

    Notes
    -----
    The exponential of a mean logarithm is below the mean. With :math:`e` the residuals of a gene on held-out groups,
    each group counting the same, :math:`E[x] = e^{p} \cdot \overline{e^{e}} - 1` (smearing, Duan, JASA 1983), at least
    0. A group that was trained on gets the factor of the other groups, as in :func:`calibrate`. Ranks have no inverse.
    """
    key = key_added or f"{layer}_counts"
    check_key(key)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    applier = Applier.of(source)
    get_layer(table, layer)
    target_sum = _target_sum(applier, layer)
    if isinstance(applier.source, Model):
        raise ValueError(
            "a model fitted on everything leaves no residuals: pass the cross-validation of the same models"
        )
    check_predicted_by(cohort, layer, applier)
    check_layer_size(*table.shape)
    groups, columns = groups_of_slides(cohort, layer, applier), table.var_names.get_indexer(applier.genes)
    kept = columns >= 0
    factor = {g: _smearing(applier, g) for g in set(groups.values())}
    for i, (slide, group) in enumerate(groups.items()):
        rows = cohort.rows(slide)
        predicted = np.asarray(table.layers[layer][np.ix_(rows, columns[kept])], dtype=np.float64)
        values = np.maximum(np.exp(predicted) * factor[group][kept] - 1, 0)
        add_dense_rows(table, key, rows, columns[kept], values.astype(np.float32), fresh=i == 0)
    made = {k: v for k, v in recorded(table, layer).items() if k in ("predictor", "run_id")}
    record(table, key, {"step": "expected_counts", "of": layer, "target_sum": target_sum} | made)
    logger.info("expected_counts: added layer %r", key)


def _target_sum(applier: Applier, layer: str) -> float:
    """Counts that spots were scaled to, if the predictions are logarithms of such counts."""
    manifest = applier.run.manifest
    target_sum = manifest.get("units", {}).get("target_sum")
    if target_sum is None or manifest["ranking"] or applier.name == "stack_rank_mean":
        what = "ranks" if manifest["ranking"] or applier.name == "stack_rank_mean" else manifest["identity"]["layer"]
        raise ValueError(
            f"layer {layer!r} predicts {what!r}, which has no way back to counts: only log1p of counts has "
            "(sh.pp.log_normalize, then cross_validate(layer='log1p'))"
        )
    return float(target_sum)


def _smearing(applier: Applier, group: str | None) -> np.ndarray:
    """Mean exponential of the residuals of held-out groups, without one that is judged ``(genes,)``."""
    cv = run_of(applier.source)
    errors = out_of_fold_residuals(applier.source) if group is None else residuals_without(applier.source, group)
    names = cv.inputs.column("group")
    factors = np.exp(errors.astype(np.float64))
    each = [_column_means(factors[names == g]) for g in cv.groups if g != group]
    return _column_means(np.stack(each))


def _column_means(values: np.ndarray) -> np.ndarray:
    """Mean of what is known in each column; NaN where nothing is."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
