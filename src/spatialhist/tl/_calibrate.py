"""How far predictions may be off, from the groups that were held out."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import add_dense_rows, check_layer_size, get_layer, record, recorded
from spatialhist._sdata.slides import Cohort, open_cohort
from spatialhist.tl._apply import Applier, Source
from spatialhist.tl._combiners import Mean
from spatialhist.tl._fit import Model
from spatialhist.tl._intervals import coverage, group_radius, groups_needed, left_out_radius
from spatialhist.tl._pixel_hash import pixel_hash
from spatialhist.tl._run import CrossValidation
from spatialhist.tl._stack import Stack, stacked_out_of_fold

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def calibrate(
    sdata: SpatialData,
    source: Source,
    *,
    level: float = 0.8,
    layer: str | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    """Give predictions intervals that cover the measurement of a spot of another group with a known probability.

    The widths come from the residuals of groups that were held out, one a gene. A group that was trained on is judged by
    the residuals of the others, a new slide by those of all.

    Parameters
    ----------
    sdata
        Object with predictions of ``source``.
    source
        A cross-validation, its stack, or the run folder.
    level
        Probability, between 0 and 1. It needs ``level / (1 - level)`` groups besides the judged one: 4 for 0.8.
    layer
        Layer of predictions; None for ``"oof"`` and ``"predicted"``, as far as they are there.
    table_key
        Table of the predictions; ``"S1_grid_table"`` for those of :func:`predict_grid`.

    Returns
    -------
    None. Added: ``layers["<layer>_lower"]`` and ``layers["<layer>_upper"]``, spots x genes float32 in the units of the
    layer; NaN where nothing was predicted, or too few folds modelled the gene. How often the intervals cover each
    held-out group is in ``uns["spatialhist"]["<layer>_lower"]``.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If there are too few groups for the level, something else predicted the layer, or ``source`` is a model fitted
        on everything, which leaves no residuals.

    Notes
    -----
    See :func:`spatialhist.tl._intervals.group_radius`. Groups have to be exchangeable: a patient of another disease, or
    a slide of another scanner, is none of them. The models of the other folds have seen the judged group, so its
    coverage is that of cross-conformal prediction, close to ``level`` but not bounded by it.
    """
    needed = groups_needed(level)
    cohort = open_cohort(sdata, table_key=table_key)
    applier = Applier.of(source)
    if isinstance(applier.source, Model):
        raise ValueError(
            "a model fitted on everything leaves no residuals: pass the cross-validation of the same models"
        )
    if applier.name == "stack_rank_mean":
        raise ValueError("method='rank_mean' predicts ranks, which have no residuals: stack with another method=")
    layers = _layers(cohort, layer, applier)
    judged = {name: _groups(cohort, name, applier) for name in layers}
    errors, group = residuals(applier.source)
    n_groups = len(np.unique(group))
    for name, of_slide in judged.items():
        _check_groups(name, n_groups - any(g is not None for g in of_slide.values()), level, needed)
    check_layer_size(*cohort.table.shape, n_layers=2 * len(layers))
    radius = left_out_radius(errors, group, level)
    new = group_radius(errors, group, level)
    covered = coverage(errors, group, radius)
    for name, of_slide in judged.items():
        _add_bounds(cohort, name, {s: new if g is None else radius[g] for s, g in of_slide.items()}, applier.genes)
        about = {
            "step": "calibrate", "of": name, "level": level, "predictor": applier.name, "run": str(applier.run.folder),
            "groups": list(covered), "coverage": list(covered.values()),
        }  # fmt: skip
        for bound in ("lower", "upper"):
            record(cohort.table, f"{name}_{bound}", about)
    logger.info(
        "calibrate: added bounds of %s; coverage of held-out groups %s",
        layers,
        {g: round(c, 2) for g, c in covered.items()},
    )


def residuals(source: CrossValidation | Stack) -> tuple[np.ndarray, np.ndarray]:
    """Absolute out-of-fold residuals ``(spots, genes)`` of a run, NaN outside a fold's panel, and groups of its spots."""
    cv = source.cv if isinstance(source, Stack) else source
    if isinstance(source, Stack):
        predicted = stacked_out_of_fold(source)
    else:
        predicted = Mean().apply(np.stack([cv.out_of_fold(m.name) for m in cv.models]))
    group = cv.inputs.column("group")
    errors = np.full(predicted.shape, np.nan, dtype=np.float32)
    for name in cv.groups:
        rows, columns = np.flatnonzero(group == name), np.asarray(cv.panels[name])
        errors[np.ix_(rows, columns)] = np.abs(predicted[np.ix_(rows, columns)] - cv.targets(rows, name))
    return errors, group


def _layers(cohort: Cohort, layer: str | None, applier: Applier) -> list[str]:
    """Layers to be given bounds, checked to be predictions of the source."""
    found = [layer] if layer else [k for k in (_keys.OOF, _keys.PREDICTED) if k in cohort.table.layers]
    if not found:
        raise KeyError(f"no layer 'oof' or 'predicted'; found {list(cohort.table.layers)}: name one with layer=")
    for name in found:
        get_layer(cohort.table, name)
        made = recorded(cohort.table, name)
        if made.get("predictor") != applier.name or made.get("run", str(applier.run.folder)) != str(applier.run.folder):
            raise ValueError(
                f"layer {name!r} was predicted by {made.get('predictor')!r} of {made.get('run', 'a cross-validation')}, "
                f"not by {applier.name!r} of {applier.run.folder}: pass what predicted it"
            )
    return found


def _groups(cohort: Cohort, layer: str, applier: Applier) -> dict[str, str | None]:
    """Group of every slide that was predicted, None for one that no fold has seen."""
    made, slides = recorded(cohort.table, layer), applier.run.manifest["slides"]
    if "predicted_slides" not in made:
        return {s: slides[s]["group"] for s in cohort.slides if s in slides}
    names = [s for s in cohort.slides if s in list(made["predicted_slides"])]
    # A grid has no image of its own.
    known = {s: applier.trained_on(pixel_hash(cohort, made.get("slide", s))) for s in names}
    return {s: slides[name]["group"] if name else None for s, name in known.items()}


def _check_groups(layer: str, n: int, level: float, needed: int) -> None:
    if n < needed:
        best = math.floor(100 * n / (n + 1)) / 100
        raise ValueError(
            f"level={level:g} needs residuals of at least {needed} groups besides the judged one, layer {layer!r} has {n}: "
            f"with n groups the largest error seen is exceeded once in n + 1 times. Ask for level={best:g} or less"
        )


def _add_bounds(cohort: Cohort, layer: str, radius: dict[str, np.ndarray], genes: list[str]) -> None:
    table = cohort.table
    columns = table.var_names.get_indexer(genes)
    kept = columns >= 0
    columns = columns[kept]
    for i, (slide, every) in enumerate(radius.items()):
        rows, half = cohort.rows(slide), every[kept]
        values = np.asarray(table.layers[layer][np.ix_(rows, columns)])
        add_dense_rows(table, f"{layer}_lower", rows, columns, values - half, fresh=i == 0)
        add_dense_rows(table, f"{layer}_upper", rows, columns, values + half, fresh=i == 0)
