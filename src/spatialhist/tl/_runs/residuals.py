"""How far predictions were off on groups that were held out."""

from __future__ import annotations

import numpy as np

from spatialhist.tl._predictors.combiners import Combiner, Mean
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.stack import Stack, stacked_out_of_fold


def out_of_fold_residuals(source: CrossValidation | Stack) -> np.ndarray:
    """Measured less predicted, for every spot by models that left its group out.

    Returns
    -------
    ndarray
        ``(spots, genes)`` of the run; NaN outside a fold's panel.
    """
    cv = run_of(source)
    if isinstance(source, Stack):
        predicted = stacked_out_of_fold(source)
    else:
        predicted = Mean().apply(np.stack([cv.out_of_fold(m.name) for m in cv.models]))
    group = cv.inputs.column("group")
    residuals = np.full(predicted.shape, np.nan, dtype=np.float32)
    for name in cv.groups:
        rows, columns = np.flatnonzero(group == name), np.asarray(cv.panels[name])
        residuals[np.ix_(rows, columns)] = cv.targets(rows, name) - predicted[np.ix_(rows, columns)]
    return residuals


def residuals_without(source: CrossValidation | Stack, evaluated: str) -> np.ndarray:
    """Measured less predicted, for the other groups' spots by models that saw neither their group nor the evaluated one.

    A run of one model holds no fits without two groups: there the residuals of the other groups are those of
    :func:`out_of_fold_residuals`, whose models have seen the evaluated group.

    Returns
    -------
    ndarray
        ``(spots, genes)`` of the run; NaN for the evaluated group, and outside its panel.
    """
    cv = run_of(source)
    if not is_nested(cv):
        residuals = out_of_fold_residuals(source)
        residuals[cv.inputs.column("group") == evaluated] = np.nan
        return residuals
    combiner: Combiner = source.by_group[evaluated] if isinstance(source, Stack) else Mean()
    group, inner, columns = cv.inputs.column("group"), cv.inner(), np.asarray(cv.panels[evaluated])
    residuals = np.full((len(group), len(cv.genes)), np.nan, dtype=np.float32)
    for other in cv.groups:
        if other != evaluated:
            rows, _ = inner[evaluated, other, cv.models[0].name].result()
            own = group[rows] == other
            predicted = combiner.apply(np.stack([inner[evaluated, other, m.name].result()[1][own] for m in cv.models]))
            residuals[np.ix_(rows[own], columns)] = cv.targets(rows[own], evaluated) - predicted
    return residuals


def is_nested(cv: CrossValidation) -> bool:
    """Whether a run holds fits that left two groups out."""
    return bool(cv.inner())


def run_of(source: CrossValidation | Stack) -> CrossValidation:
    """The run behind a stack."""
    return source.cv if isinstance(source, Stack) else source
