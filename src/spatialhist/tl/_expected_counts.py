"""From predicted logarithms back to counts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import (
    add_dense_rows,
    check_key,
    check_layer_size,
    dense_columns,
    get_layer,
    record,
    recorded,
)
from spatialhist.tl._inference.layers import check_predicted_by, groups_of_slides
from spatialhist.tl._load import Source, as_trained

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.tl._runs.residuals import HeldOut
    from spatialhist.tl._runs.trained import Trained

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
    None
        Added: ``layers[key_added]``, spots x genes float32, counts per ``target_sum`` of
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
    The exponential of a mean logarithm is below the mean: :math:`E[x] = f_g\, e^{p} - 1`, at least 0, with the factor of
    a gene :math:`f_g = \overline{e^{y}} / \overline{e^{p}}`, measured over predicted on held-out groups, each group
    counting the same (the smearing estimate of Duan, JASA 1983, as a ratio, so that predictions that exaggerate do not
    raise it). A group that was trained on gets the factor of the other groups, as in :func:`calibrate`. Ranks have no
    inverse.
    """
    key = key_added or f"{layer}_counts"
    check_key(key)
    cohort = open_cohort(sdata, table_key=table_key)
    table = cohort.table
    trained = as_trained(source)
    get_layer(table, layer)
    target_sum = _target_sum(trained, layer)
    held = trained.held_out()
    check_predicted_by(table, layer, trained)
    check_layer_size(*table.shape)
    groups = groups_of_slides(table, cohort.slides, layer, trained, cohort.slide)
    columns = table.var_names.get_indexer(trained.genes)
    kept = columns >= 0
    factor = {g: _factor(held, g) for g in set(groups.values())}
    for i, (slide, group) in enumerate(groups.items()):
        rows = cohort.rows(slide)
        predicted = dense_columns(get_layer(table, layer), rows, columns[kept]).astype(np.float64)
        # regressions may go below the logarithm of one count, and no count lies below 0
        values = np.maximum(np.exp(predicted) * factor[group][kept] - 1, 0)
        add_dense_rows(table, key, rows, columns[kept], values.astype(np.float32), fresh=i == 0)
    made = {k: v for k, v in recorded(table, layer).items() if k in ("predictor", "run_id")}
    record(table, key, {"step": "expected_counts", "of": layer, "target_sum": target_sum} | made)
    logger.info("expected_counts: added layer %r", key)


def _target_sum(trained: Trained, layer: str) -> float:
    """Counts that spots were scaled to, if the predictions are logarithms of such counts."""
    target_sum = trained.manifest.units.get("target_sum")
    if target_sum is None or trained.in_ranks:
        what = "ranks" if trained.in_ranks else trained.manifest.layer
        raise ValueError(
            f"layer {layer!r} predicts {what!r}, which has no way back to counts: only log1p of counts has "
            "(sh.pp.log_normalize, then cross_validate(layer='log1p'))"
        )
    return float(target_sum)


def _factor(held: HeldOut, group: str | None) -> np.ndarray:
    """Measured over predicted on held-out groups, without one that is evaluated ``(genes,)``."""
    errors = held.residuals() if group is None else held.residuals_without(group)
    truth = held.targets().astype(np.float64)
    # residuals are measured less predicted
    predicted = np.exp(truth - errors)
    measured = np.where(np.isnan(errors), np.nan, np.exp(truth))
    names, others = held.group, [g for g in held.groups if g != group]
    means = [np.stack([_column_means(x[names == g]) for g in others]) for x in (measured, predicted)]
    return _column_means(means[0]) / _column_means(means[1])


def _column_means(values: np.ndarray) -> np.ndarray:
    """Mean of what is known in each column; NaN where nothing is."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
