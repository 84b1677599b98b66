"""Refit on everything, for use on new slides."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import as_folder
from spatialhist._sdata.cohort import open_cohort
from spatialhist.tiles._features.compute import Compute
from spatialhist.tl._data.design import Design, DesignOptions
from spatialhist.tl._data.panel import fold_panels
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.fits import run_fits
from spatialhist.tl._runs.folder import as_recorded, locked, run_folder
from spatialhist.tl._runs.manifest import CROSS_VALIDATION, MODEL, Manifest
from spatialhist.tl._runs.model import Model
from spatialhist.tl._runs.task import Task
from spatialhist.tl._runs.warm_start import check_panel, check_start, from_start
from spatialhist.tl._scores.card_file import read_card, write_card

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def fit(
    sdata: SpatialData,
    *,
    models: str | Predictor | Sequence[str | Predictor] = "default",
    layer: str = _keys.LOG1P,
    genes: int | Sequence[str] = 250,
    always: str | Sequence[str] = (),
    slides: str | Sequence[str] | None = None,
    design: Design | None = None,
    start: Model | str | Path | None = None,
    evaluated_by: CrossValidation | str | Path | None = None,
    license: str = "not stated",
    out: str | Path | None = None,
    overwrite: bool = False,
    executor: Any = None,
    features: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int = 1,
    seed: int = 0,
    table_key: str = _keys.TABLE,
    progress: bool = True,
    **options: Unpack[DesignOptions],
) -> Model:
    """Fit models on all measured slides, for use on new ones.

    No group is left to evaluate them on: :func:`cross_validate` tells how good the same models are. The parameters are
    those of :func:`cross_validate`.

    Parameters
    ----------
    sdata
        The cohort, with a tissue mask a slide.
    models
        Name, predictor, or several, whose predictions are averaged.
    layer, genes, always, slides, design
        See :func:`cross_validate`.
    start
        A fitted model, or its folder, from whose weights the networks among the models go on; its panel is kept, a
        number in ``genes`` is not looked at. Models without such weights, as ridges, are fitted afresh. None to start
        from nothing.
    evaluated_by
        Cross-validation of the same models, or its folder: its scores and its verdict on every gene go with the model
        (:func:`gene_reliability`). None for a model of which nothing is known.
    license
        Under which the model may be used; kept in its folder.
    out
        Model folder; None for a temporary one.
    overwrite, executor, features, device, precision, threads, seed, table_key, progress
        See :func:`cross_validate`.
    **options
        Fields of :class:`Design`, in the place of ``design``.

    Returns
    -------
    Model
        To be used with :func:`predict`. Nothing is added to the object.

    Raises
    ------
    KeyError, ValueError, TypeError, FileExistsError, NotADirectoryError
        As :func:`cross_validate`; also if ``evaluated_by`` is of other models, another layer or another design, and if
        ``start`` differs in what it predicts or looks at, in a network, or in the panel.

    Notes
    -----
    To learn from new slides, fit on old and new ones together (:func:`spatialhist.io.concat`): what is fitted on new
    slides alone forgets the old ones, with ``start`` too. ``start`` spares networks epochs.
    """
    cohort = open_cohort(sdata, slides, table_key=table_key)
    looks = as_recorded(Design.of_call(design, options), out, overwrite=overwrite)
    kept = as_folder("features", features)
    task = Task.of(
        cohort.table, cohort.every_slide(), models, layer=layer, design=looks, seed=seed, threads=threads,
        compute=Compute(device, precision),
    )  # fmt: skip
    # read first: a card of another recipe is refused before hours of training
    card = {} if evaluated_by is None else _card_of(evaluated_by, task)
    before = Model.load(start, models=task.models) if isinstance(start, str | Path) else start
    columns = _panel(task, genes, always, before)
    origin: dict[str, Any] = {} if before is None else {"start": before.run_id}
    manifest = task.manifest(MODEL, columns, license=license, **origin)
    folder, temporary = run_folder(out)
    with locked(folder):
        inputs = task.begin(
            # every slide is a group of its own: strengths are chosen, and distances taken, by leaving slides out
            folder, manifest, assigned={s.name: s.name for s in task.slides}, columns=columns, overwrite=overwrite,
            executor=executor, progress=progress, features=kept,
        )  # fmt: skip
        model = replace(Model.load(folder, models=task.models, encoder=task.named_encoder), _temporary=temporary)
        fits = model.fits() if before is None else from_start(model.fits(), before, task.design.to_json())
        run_fits(fits, inputs.folder, executor=executor, progress=progress)
        if card:
            write_card(folder, card)
    logger.info("fit: %d models on %d slides in %s", len(task.models), len(task.slides), folder)
    return model


def _panel(task: Task, genes: int | Sequence[str], always: str | Sequence[str], start: Model | None) -> np.ndarray:
    """Genes as positions in the table; those of the model of a warm start, in its order."""
    everything = {"all": list(task.rows)}
    if start is None:
        return fold_panels(task.table, task.slides, task.rows, everything, genes, task.layer, always)["all"]
    check_start(start, task, genes)
    found = fold_panels(task.table, task.slides, task.rows, everything, start.genes, task.layer)["all"]
    check_panel(start, list(task.table.var_names[found]))
    return task.table.var_names.get_indexer(start.genes)


def _card_of(evaluated_by: CrossValidation | str | Path, task: Task) -> dict[str, Any]:
    """Card of a cross-validation, checked to be of the same recipe."""
    folder = Path(evaluated_by) if isinstance(evaluated_by, str | Path) else evaluated_by.folder
    if differ := Manifest.read(folder, CROSS_VALIDATION).differences(task.recipe()):
        raise ValueError(f"evaluated_by={str(folder)!r} says nothing of this model: they differ in {differ}")
    return read_card(folder)
