"""Combine the models of a cross-validation, evaluated on groups that neither models nor weights have seen."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.cohort import open_cohort, usable_rows
from spatialhist._sdata.layers import check_key, check_layer_size, record, recorded
from spatialhist.tl._predictors.combiners import resolve_combiner
from spatialhist.tl._predictors.protocol import Combiner, FittedCombiner
from spatialhist.tl._runs.as_written import AsWritten, stack_as_written
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.folder import group_folder, locked
from spatialhist.tl._runs.plan import MIN_GROUPS_STACKED
from spatialhist.tl._runs.provenance import oof_record, what_is_scored
from spatialhist.tl._runs.since import written
from spatialhist.tl._runs.stack import FINAL, Stack, scratch_of, store_stack
from spatialhist.tl._scores.card import add_reliability, make_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

Scheme = Literal["honest", "as_written"]


def stack(
    sdata: SpatialData,
    cv: CrossValidation,
    *,
    method: str | Combiner = "auto",
    scheme: Scheme = "honest",
    key_added: str = _keys.OOF,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> Stack | AsWritten:
    """Combine the models of a cross-validation into one prediction.

    To evaluate outer group o, weights are fitted on predictions for the spots of every other group s by models trained
    without s *and* without o; then they are applied to the models that predict o. Nothing that produced the stacked
    prediction of a group has seen its labels.

    Parameters
    ----------
    sdata
        The object that was cross-validated.
    cv
        What :func:`cross_validate` returned, with two models or more.
    method
        ``"auto"``: ``"nnls"`` with three groups or more, with two ``"mean"`` and a warning; ``"nnls"``: one set of
        non-negative weights, and per gene a set shrunk towards it; ``"mlp"``: :class:`spatialhist.nn.StackingMLP` on
        all models' predictions (five groups or more); ``"mean"``; ``"rank_mean"``: mean of the ranks within a spot, in
        ranks; or a :class:`Combiner` of your own, which :func:`load` takes again.
    scheme
        ``"honest"``, or ``"as_written"`` to repeat the stacking of the original challenge entry, with
        ``method="mlp"``: the network sees what every fold model says of every spot, of those it was trained on too, and
        is evaluated on spots drawn at random. That score is **not honest**: it is returned as ``score_not_honest``, and no
        layer is added.
    key_added
        Layer of the stacked out-of-fold predictions.
    seed
        For ``"mlp"``.
    table_key
        Name of the table.

    Returns
    -------
    Stack
        Use it with :func:`predict`. Added: ``layers[key_added]``, spots x genes float32, NaN outside a fold's panel, and what
        is known of every gene in ``var`` (see :func:`predict`).

    Raises
    ------
    ValueError
        If there are too few models or groups for the method, or ``sdata`` is not the object of the run.
    TypeError
        If ``cv`` is no cross-validation, or ``method`` neither a name nor a combiner.
    RuntimeError
        If another process works on the run folder.
    """
    if not hasattr(cv, "baselines"):
        raise TypeError(
            f"cv={cv!r} is no cross-validation: pass what sh.tl.cross_validate returned, or "
            "sh.tl.CrossValidation.load(folder) of the folder of its run"
        )
    if scheme != "honest":
        return _other_scheme(cv, method, scheme, seed)
    check_key(key_added)
    how = resolve_combiner(_automatic(cv) if method == "auto" else method)
    _check(cv, how)
    cohort = open_cohort(sdata, list(cv.manifest.slides), table_key=table_key)
    slides = cohort.every_slide()
    rows = table_rows(cohort.table, slides, cv)
    columns = cohort.table.var_names.get_indexer(cv.genes)
    check_layer_size(*cohort.table.shape)
    with locked(cv.folder):
        result = _fit_all(cv, how, seed)
        values = result.out_of_fold()
        evaluated = [
            (result.name, "stack", values),
            *((n.name, n.kind, cv.out_of_fold(n.name)) for n in cv.baselines),
        ]
        card = make_card(cohort.table, slides, rows, columns, result.name, lambda: evaluated, **what_is_scored(cv))
        store_stack(result, card)
    dense = np.full(cohort.table.shape, np.nan, dtype=np.float32)
    dense[np.ix_(rows, columns)] = values
    cohort.table.layers[key_added] = dense
    _tell_of_another(recorded(cohort.table, key_added), result, key_added)
    used = [cohort.slide(name) for name in cv.manifest.slides]
    made = _provenance(result) | written(cohort.table, used, key_added, cv.manifest.layer)
    record(cohort.table, key_added, made)
    add_reliability(cohort.table, key_added, card)
    # last: a kill before this leaves the checkpoints that the stack resumes from
    shutil.rmtree(scratch_of(cv, how, seed), ignore_errors=True)
    logger.info("stack: added layer %r (%s of %d models)", key_added, how.name, len(cv.models))
    return result


def _automatic(cv: CrossValidation) -> str:
    """Weights where there are groups enough to fit and evaluate them, else the mean."""
    # a run of one model is refused below, and for that reason rather than for its groups
    if len(cv.models) < 2 or len(cv.groups) >= MIN_GROUPS_STACKED:
        return "nnls"
    warnings.warn(
        f"the run has {len(cv.groups)} groups, too few to fit weights of a stack and evaluate them on others: the "
        f"{len(cv.models)} models are averaged; weights need {MIN_GROUPS_STACKED} groups",
        stacklevel=3,
    )
    return "mean"


def _fit_all(cv: CrossValidation, how: Combiner, seed: int) -> Stack:
    """Fit the combiner of every group and that of new slides."""
    scratch = scratch_of(cv, how, seed)
    with pinned_threads(cv.manifest.threads):
        by_group = {g: _fit_for(cv, g, how, seed, scratch / group_folder(cv.groups, (g,))) for g in cv.groups}
        return Stack(cv, how, by_group, _fit_final(cv, how, seed, scratch / FINAL))


def _other_scheme(cv: CrossValidation, method: str | Combiner, scheme: str, seed: int) -> AsWritten:
    check_choice("scheme", scheme, Scheme)
    if method != "mlp":
        raise ValueError(f"scheme={scheme!r} was written for method='mlp', not for method={method!r}")
    return stack_as_written(cv, seed=seed)


def _check(cv: CrossValidation, how: Combiner) -> None:
    if len(cv.models) < 2:
        raise ValueError(
            f"the run holds one model ({cv.models[0].name!r}): there is nothing to stack; train several, "
            "sh.tl.cross_validate(sdata, models=[...])"
        )
    needed = max(how.min_groups, MIN_GROUPS_STACKED if how.needs_inner else 0)
    if len(cv.groups) < needed:
        raise ValueError(
            f"method={how.name!r} needs at least {needed} groups, the run has {cv.groups}: "
            "use method='mean', or hold out smaller groups"
        )


def table_rows(table: AnnData, slides: Sequence[Slide], cv: CrossValidation) -> np.ndarray:
    """Rows of the table in the order of the run's spots.

    Raises
    ------
    ValueError
        If the table does not hold the spots of the run.
    """
    rows = usable_rows(slides)
    expected = {s: slide.spots for s, slide in cv.manifest.slides.items()}
    found = {s: len(r) for s, r in rows.items()}
    missing = [g for g in cv.genes if g not in table.var_names]
    if expected != found or missing:
        raise ValueError(
            f"the object does not hold the spots and genes of the run {cv.folder}: slides with spots {expected} are "
            f"expected, found {found}; {len(missing)} genes are missing: pass the object that was cross-validated"
        )
    return np.concatenate([rows[s] for s in cv.manifest.slides])


def _fit_for(cv: CrossValidation, outer: str, how: Combiner, seed: int, scratch: Path) -> FittedCombiner:
    """Fit the combiner that evaluates one outer group, from fits that saw neither it nor the spots they predict."""
    rows, predictions = _inner_predictions(cv, outer) if how.needs_inner else _of_no_spot(cv, len(cv.panels[outer]))
    return _fit(cv, rows, predictions, cv.targets(rows, outer), how, seed, scratch)


def _inner_predictions(cv: CrossValidation, outer: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the other groups, and predictions ``(models, rows, genes)`` for them."""
    inner = cv.inner()
    rows, parts = [], []
    for other in (g for g in cv.groups if g != outer):
        held, _ = inner[outer, other, cv.models[0].name].result()
        # the fit left out both groups; spots of the outer one must not reach the weights that it is evaluated by
        mine = cv.inputs.column("group")[held] == other
        rows.append(held[mine])
        parts.append(np.stack([inner[outer, other, m.name].result()[1][mine] for m in cv.models]))
    return np.concatenate(rows), np.concatenate(parts, axis=1)


def _of_no_spot(cv: CrossValidation, n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(0), np.empty((len(cv.models), 0, n_genes), dtype=np.float32)


def _fit_final(cv: CrossValidation, how: Combiner, seed: int, scratch: Path) -> FittedCombiner:
    """Fit the combiner of new slides from the out-of-fold predictions of all groups, each in its fold's panel."""
    if not how.needs_inner:
        rows, none = _of_no_spot(cv, len(cv.genes))
        return _fit(cv, rows, none, none[0], how, seed, scratch)
    predictions = np.stack([cv.out_of_fold(m.name) for m in cv.models])
    targets = np.full(predictions.shape[1:], np.nan, dtype=np.float32)
    for name in cv.groups:
        rows = np.flatnonzero(cv.inputs.column("group") == name)
        targets[np.ix_(rows, np.asarray(cv.panels[name]))] = cv.targets(rows, name)
    return _fit(cv, np.arange(len(targets)), _filled(predictions), _filled(targets), how, seed, scratch)


def _filled(values: np.ndarray) -> np.ndarray:
    """Put each gene's mean where a fold did not model it: centered, such a spot pulls at no weight."""
    return np.where(np.isnan(values), np.nanmean(values, axis=-2, keepdims=True), values)


def _fit(
    cv: CrossValidation,
    rows: np.ndarray,
    predictions: np.ndarray,
    targets: np.ndarray,
    how: Combiner,
    seed: int,
    scratch: Path,
) -> FittedCombiner:
    slide, group = (cv.inputs.column(name)[rows] for name in ("slide", "group"))
    return how.fit(predictions, targets, slide=slide, group=group, seed=seed, scratch=scratch)


def _tell_of_another(before: dict[str, Any], result: Stack, layer: str) -> None:
    """Say that a stack of the same run is replaced: the better of two was chosen by its scores."""
    if before.get("step") == "stack" and before.get("run_id") == result.cv.run_id and before["method"] != result.method:
        logger.warning(
            "stack: layer %r held a stack of the same run by method=%r; if the one with the better scores is kept, they look "
            "better than they are", layer, before["method"],
        )  # fmt: skip


def _provenance(result: Stack) -> dict[str, Any]:
    entry = oof_record(result.cv, result.name, "stack") | {"step": "stack", "method": result.method}
    if result.how.in_ranks:
        entry["space"] = _keys.RANKS
    return entry
