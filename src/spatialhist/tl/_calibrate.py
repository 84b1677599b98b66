"""How far predictions may be off, from the groups that were held out."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import add_dense_rows, check_layer_size, dense_columns, get_layer, record
from spatialhist.tl._inference.layers import check_predicted_by, groups_of_slides, is_composed
from spatialhist.tl._inference.widths import Widths
from spatialhist.tl._load import Source, as_trained
from spatialhist.tl._runs.residuals import NoResiduals
from spatialhist.tl._scores.intervals import groups_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist.tl._runs.trained import Trained

logger = logging.getLogger(__name__)

SKIPPED = "calibrate"
"""Entry of ``uns`` that says why there are no intervals."""


class TooFewGroups(ValueError):
    """The level asked for needs more groups than were held out."""


def calibrate(
    sdata: SpatialData,
    source: Source,
    *,
    level: float = 0.8,
    layer: str | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    """Give predictions intervals that cover the measurement of a spot of another group with a known probability.

    The widths come from the residuals of groups that were held out, one a gene. A group that was trained on uses
    the residuals of the others, a new slide by those of all.

    Parameters
    ----------
    sdata
        Object with predictions of ``source``.
    source
        A cross-validation, its stack, or the run folder.
    level
        Probability, between 0 and 1. It needs ``level / (1 - level)`` groups besides the evaluated one: 4 for 0.8.
    layer
        Layer of predictions; None for ``"oof"`` and ``"predicted"``, as far as they are there.
    table_key
        Table of the predictions; ``"S1_grid_table"`` for those of :func:`predict_grid`.

    Returns
    -------
    None
        Added: ``layers["<layer>_lower"]`` and ``layers["<layer>_upper"]``, spots x genes float32 in the units of the
        layer; NaN where nothing was predicted, or too few folds modeled the gene. How often the intervals cover each
        held-out group is in ``uns["spatialhist"]["<layer>_lower"]``.

    Raises
    ------
    KeyError
        If there is no such layer.
    TooFewGroups
        If there are too few groups for the level; it is a ValueError.
    ValueError
        If something else predicted the layer, or ``source`` is a model fitted on everything, which leaves no residuals.

    Notes
    -----
    See :func:`spatialhist.tl._scores.intervals.group_radius`. Groups have to be exchangeable: a patient of another disease, or
    a slide of another scanner, is none of them. The intervals of a group that was trained on have not seen its labels:
    they come from predictions of the other groups by models that left both groups out, which a run of two or more
    models holds. A run of one model does not: there, models of the other folds have seen the evaluated group, and its
    coverage is that of cross-conformal prediction, close to ``level`` but not bounded by it. Which of the two it is
    stands in ``uns["spatialhist"]["<layer>_lower"]["nested"]``.
    """
    needed = groups_needed(level)
    cohort = open_cohort(sdata, table_key=table_key)
    trained = as_trained(source)
    held = trained.held_out()
    table, rows = cohort.table, {s: cohort.rows(s) for s in cohort.slides}
    layers = _layers(table, layer, trained)
    evaluated = {name: groups_of_slides(table, cohort.slides, name, trained, cohort.slide) for name in layers}
    for name, of_slide in evaluated.items():
        _check_groups(name, len(held.groups) - any(g is not None for g in of_slide.values()), level, needed)
    check_layer_size(*table.shape, n_layers=2 * len(layers))
    composed = {name: is_composed(table, name) for name in layers}
    # intervals of parts of a whole come from residuals of predictions that were made parts, too
    widths = {parts: Widths.of(replace(held, composition=parts), level) for parts in set(composed.values())}
    for name, of_slide in evaluated.items():
        found = widths[composed[name]]
        of_rows = [(rows[s], found.of_group(g)) for s, g in of_slide.items()]
        _add_bounds(table, name, of_rows, trained.genes, within=(0, 1) if composed[name] else (-np.inf, np.inf))
        about = {
            "step": "calibrate", "of": name, "level": level, "predictor": trained.name, "run": str(trained.run_folder),
            "groups": list(found.covered), "coverage": list(found.covered.values()), "nested": held.nested,
        }  # fmt: skip
        for bound in ("lower", "upper"):
            record(table, f"{name}_{bound}", about)
        covered = {g: round(c, 2) for g, c in found.covered.items()}
        logger.info("calibrate: added bounds of %r; coverage of held-out groups %s", name, covered)
    table.uns[_keys.ROOT].pop(SKIPPED, None)


def remember_skipped(table: AnnData, reason: str) -> None:
    """Remember why out-of-fold predictions have no intervals; those of an earlier run go."""
    for bound in ("lower", "upper"):
        table.layers.pop(f"{_keys.OOF}_{bound}", None)
    record(table, SKIPPED, {"reason": reason})


def leaves_residuals(trained: Trained, level: float, *, trained_on: bool) -> bool:
    """Whether enough groups were held out for intervals of a slide, which may be of one of them."""
    try:
        n = len(trained.held_out().groups)
    except NoResiduals:
        return False
    return n - trained_on >= groups_needed(level)


def _layers(table: AnnData, layer: str | None, trained: Trained) -> list[str]:
    """Layers to be given bounds, checked to be predictions of the source."""
    found = [layer] if layer else [k for k in (_keys.OOF, _keys.PREDICTED) if k in table.layers]
    if not found:
        raise KeyError(f"no layer 'oof' or 'predicted'; found {layer_names(table)}: name one with layer=")
    for name in found:
        get_layer(table, name)
        check_predicted_by(table, name, trained)
    return found


def _check_groups(layer: str, n: int, level: float, needed: int) -> None:
    if n < needed:
        # rounded down, so that the level which the message names can be reached
        best = math.floor(100 * n / (n + 1)) / 100
        raise TooFewGroups(
            f"level={level:g} needs residuals of at least {needed} groups besides the evaluated one, layer {layer!r} has {n}: "
            f"with n groups the largest error seen is exceeded once in n + 1 times. Ask for level={best:g} or less"
        )


def _add_bounds(
    table: AnnData,
    layer: str,
    radius: Sequence[tuple[np.ndarray, np.ndarray]],
    genes: list[str],
    *,
    within: tuple[float, float],
) -> None:
    """Add the bounds of some rows of a layer, by the widths of their genes; none lies outside of what values can be."""
    columns = table.var_names.get_indexer(genes)
    kept = columns >= 0
    columns = columns[kept]
    for i, (rows, every) in enumerate(radius):
        half = every[kept]
        values = dense_columns(get_layer(table, layer), rows, columns)
        add_dense_rows(table, f"{layer}_lower", rows, columns, np.clip(values - half, *within), fresh=i == 0)
        add_dense_rows(table, f"{layer}_upper", rows, columns, np.clip(values + half, *within), fresh=i == 0)
