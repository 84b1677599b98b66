"""Leave groups out, fit everything on the rest, predict what was left out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import as_folder
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import check_layer_size, record, recorded
from spatialhist._sdata.values import as_ids
from spatialhist.tiles._features.compute import Compute
from spatialhist.tl._data.copies import refuse_copies
from spatialhist.tl._data.design import Design, DesignOptions
from spatialhist.tl._data.duplicates import warn_of_similar
from spatialhist.tl._data.groups import assign_groups, refuse_duplicates, refuse_shared_stain
from spatialhist.tl._data.hindsight import other_seeds, with_seed
from spatialhist.tl._data.panel import fold_panels
from spatialhist.tl._data.shared_genes import refuse_unmeasured_panels
from spatialhist.tl._predictors.combiners import Mean
from spatialhist.tl._predictors.registry import baselines, describe
from spatialhist.tl._runs.composition import note_of_parts
from spatialhist.tl._runs.cross_validation import LATEST, CrossValidation
from spatialhist.tl._runs.fits import run_fits, tell
from spatialhist.tl._runs.folder import as_recorded, locked, run_folder, write_oof
from spatialhist.tl._runs.manifest import CROSS_VALIDATION, DEPTH
from spatialhist.tl._runs.plan import announce, unique
from spatialhist.tl._runs.provenance import oof_record, what_is_scored
from spatialhist.tl._runs.selection import flattering, selection
from spatialhist.tl._runs.since import written
from spatialhist.tl._runs.task import Task
from spatialhist.tl._scores.card import make_card
from spatialhist.tl._scores.card_file import write_card

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._predictors.protocol import Predictor

logger = logging.getLogger(__name__)


def cross_validate(
    sdata: SpatialData,
    *,
    models: str | Predictor | Sequence[str | Predictor] = "default",
    layer: str = _keys.LOG1P,
    genes: int | Sequence[str] = 250,
    always: str | Sequence[str] = (),
    groups: str = "auto",
    slides: str | Sequence[str] | None = None,
    design: Design | None = None,
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
) -> CrossValidation:
    """Predict every group of slides by models that never saw it.

    Everything that is fitted (gene panel, scaling, components, strength, weights) is fitted on the other groups, by a
    fresh model. Beside the models run the baselines: mean profile, mean of the same patient, nearest neighbors in position,
    a ridge on the features of one field of view, depth alone (total counts predicted from the image, where the table holds
    counts or ``obs["total_counts"]``), labels permuted within slides. With two or more models and three or more
    groups the fits that :func:`stack` needs for an honest evaluation are made too.

    Parameters
    ----------
    sdata
        The cohort, with a tissue mask a slide (:func:`spatialhist.pp.mask_background`).
    models
        ``"default"`` (ridge, kernel ridge and a network over features), a name, a predictor, or several.
    layer
        What is predicted: ``"log1p"``; ``"ranks"``, taken within the panel of each fold; or what the depth of a spot does not
        explain, ``"pearson_residuals"`` (:func:`spatialhist.pp.pearson_residuals`) and ``"log1p_beyond_depth"``
        (:func:`spatialhist.pp.regress_depth`). To predict ``log1p`` by models that are trained on less of the depth, see
        :class:`DepthAdjusted`.
    genes
        Size of the panel, chosen in each fold by the highest mean log1p over its training slides; or names, of which a
        fold models those that all its training slides measured.
    always
        Names of genes that are in the panel of every fold, beside those that are chosen.
    groups
        ``"auto"``, ``"patient"``, ``"slide"`` or a column of ``obs``.
    slides
        None for all; slides without measurements are left out.
    design
        What models look at: image, encoder, fields of view; see :class:`Design`.
    out
        Run folder. An interrupted run with the same parameters and data resumes where it stopped. None keeps nothing.
    overwrite
        Replace another run in ``out``.
    executor
        None to run here, a number of worker processes, or anything with ``submit``.
    features
        Folder of features that :func:`encode` filled, perhaps on another machine, or that several runs share; what is missing
        is computed and added. None for a folder of the run.
    device
        Where the encoder runs: ``"auto"`` (CUDA, MPS, CPU, the first that is there), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or
        ``"mps"``; an encoder without weights, as ``"color_texture"``, runs on all cores of the CPU. Networks that are trained
        have an ``accelerator`` of their own.
    precision
        In which the encoder computes: ``"auto"`` is ``"float16"`` on CUDA and ``"float32"`` elsewhere; or ``"float32"``,
        ``"float16"``, ``"bfloat16"``, the latter two on CUDA only.
    threads
        Per fit; pinned, so that results do not depend on the executor.
    seed
        For whatever is random.
    table_key
        Name of the table.
    progress
        Show progress bars.
    **options
        Fields of :class:`Design` (``image``, ``encoder``, ``extents``, ``context``, ``pixels``, ``tile_extent``,
        ``tile_pixels``, ``grid``), in the place of ``design``.

    Returns
    -------
    CrossValidation
        Handle on the run. Added to the table: ``layers["oof_NAME"]`` per model and baseline, spots x genes float32 in the
        units of ``layer``, NaN where nothing was predicted; with a single model ``layers["oof"]`` too.

    Warns
    -----
    UserWarning
        If scores may look better than they are: patients whose sections lie in several groups, a layer that may hold values
        of several slides, genes or slides that may have been chosen by the scores of an earlier run.

    Raises
    ------
    ValueError
        If groups are ambiguous, slides of different groups are one section (equal, or cropped, turned, re-encoded,
        recolored, thinned), no slide was measured, the stain of ``image``
        was fitted on scored slides, the device is not there, or ``design`` and its fields are both given.
    KeyError
        If layer, image, mask or genes are missing.
    TypeError
        If an option is none of :class:`Design`, or ``out`` or ``features`` is no path.
    FileExistsError, NotADirectoryError
        If ``out`` holds another run, or it or ``features`` is a file.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> cv = sh.tl.cross_validate(sdata, models="ridge", genes=10, progress=False)
    >>> cv.groups
    ['P1', 'P2', 'P3']
    """
    cohort = open_cohort(sdata, slides, table_key=table_key)
    looks = as_recorded(Design.of_call(design, options), out, overwrite=overwrite)
    kept = as_folder("features", features)
    task = Task.of(
        cohort.table, cohort.every_slide(), models, layer=layer, design=looks, seed=seed, threads=threads,
        compute=Compute(device, precision),
    )  # fmt: skip
    table, used = task.table, task.slides
    assigned = assign_groups(table, used, groups)
    _compare_slides(task, assigned)
    _tell_of_depth(task)
    against = baselines(task.design, depth=task.known_depth is not None)
    check_layer_size(*table.shape, n_layers=len(task.models) + len(against) + 1)
    # folders of fits are named by these positions, which must not follow the order of the slides
    names = sorted(set(assigned.values()))
    training = {g: [s for s, group in assigned.items() if group != g] for g in names}
    panels = fold_panels(table, used, task.rows, training, genes, layer, always)
    refuse_unmeasured_panels(table.var_names, used, assigned, panels)
    # the union of the panels: a gene is gathered once, however many folds model it
    columns = np.unique(np.concatenate(list(panels.values())))
    positions = {g: np.searchsorted(columns, panels[g]).tolist() for g in names}
    facts: dict[str, Any] = {"baselines": [describe(p) for p in against], "groups": names, "panels": positions}
    facts[DEPTH] = task.depth_hash
    recipe = task.recipe_hash(facts)
    told = flattering(
        table, used, task.rows, layer=layer, columns=columns, genes=genes, always=always, encoder=task.encoder
    )
    told += [*other_seeds(table, recipe, task.seed), *note_of_parts(task.parts, layer)]
    for text in told:
        warnings.warn(text, stacklevel=2)
    chosen = selection(
        table, used, cohort.slides_of_table(), task.rows, genes=genes, always=always, groups=groups, assigned=assigned,
        encoder=task.encoder, told=told,
    )  # fmt: skip
    manifest = task.manifest(CROSS_VALIDATION, columns, assigned, selection=chosen, **facts)
    folder, temporary = run_folder(out)
    # what can be refused was refused above: from here on the folder changes
    with locked(folder):
        inputs = task.begin(
            folder, manifest, assigned=assigned, columns=columns, overwrite=overwrite, executor=executor,
            progress=progress, for_baselines=True, features=kept,
        )  # fmt: skip
        # the run is read back from its folder, as everybody who loads it later will find it
        cv = replace(CrossValidation.load(folder, models=task.models, encoder=task.named_encoder), _temporary=temporary)
        fits = unique([*cv.outer().values(), *cv.inner().values()])
        tell(announce(fits, len(inputs), len(names), tile_gb=inputs.tile_gb), progress=progress)
        run_fits(fits, inputs.folder, executor=executor, progress=progress)
        # in the order in which the spots were gathered, which is that of the predictions
        rows = np.concatenate(list(task.rows.values()))
        _write_layers(table, used, cv, rows, columns, seeds=with_seed(table, recipe, task.seed))
        name = "+".join(m.name for m in cv.models)
        write_card(folder, make_card(table, used, rows, columns, name, partial(_held_out, cv), **what_is_scored(cv)))
    return cv


def _compare_slides(task: Task, assigned: dict[str, str]) -> None:
    """Refuse slides of different groups that are one section, and name those that look alike."""
    refuse_duplicates(task.table, task.slides, assigned)
    refuse_shared_stain(task.table, task.slides, task.design.image)
    refuse_copies(task.table, task.slides, assigned, task.signatures)
    warn_of_similar(task.slides, assigned)


def _tell_of_depth(task: Task) -> None:
    """Say why a baseline is missing."""
    if task.known_depth is None:
        warnings.warn(
            f"baseline_depth is left out: no counts lie behind {task.layer!r} and obs has no 'total_counts', so that nothing says "
            "how deep a spot is (proportions have no depth)",
            stacklevel=3,
        )


def _held_out(cv: CrossValidation) -> Iterator[tuple[str, str, np.ndarray]]:
    """Predictors of a run with their out-of-fold predictions; several models predict new slides by their mean."""
    for predictor in (*cv.models, *cv.baselines):
        yield predictor.name, predictor.kind, cv.out_of_fold(predictor.name)
    if len(cv.models) > 1:
        mean = Mean().apply(np.stack([cv.out_of_fold(m.name) for m in cv.models]))
        yield "+".join(m.name for m in cv.models), "model", mean


def _warn_of_gaps(name: str, values: np.ndarray, cv: CrossValidation) -> None:
    """Tell of a model that left out spots or genes of its panels."""
    group = cv.inputs.column("group")
    asked = sum(int((group == g).sum()) * len(panel) for g, panel in cv.panels.items())
    given = int(np.isfinite(values).sum())
    if given < asked:
        spots = len(values) - int(np.isfinite(values).any(axis=1).sum())
        warnings.warn(
            f"model {name!r} predicted NaN or infinite values: {asked - given:,} of {asked:,}, and nothing at all for {spots} of "
            f"{len(values)} spots. They are not scored, and where they are missing no other model is; a network that "
            "diverged needs a smaller learning_rate",
            stacklevel=4,
        )


def _write_layers(
    table: AnnData,
    slides: Sequence[Slide],
    cv: CrossValidation,
    rows: np.ndarray,
    columns: np.ndarray,
    *,
    seeds: dict[str, list[int]],
) -> None:
    """Put out-of-fold predictions into the table and into the run folder."""
    stored = {}
    for predictor in (*cv.models, *cv.baselines):
        stored[predictor.name] = values = cv.out_of_fold(predictor.name)
        if predictor.kind == "model":
            _warn_of_gaps(predictor.name, values, cv)
        names = [_keys.oof(predictor.name)] + [_keys.OOF] * (len(cv.models) == 1 and predictor is cv.models[0])
        for key in names:
            dense = np.full(table.shape, np.nan, dtype=np.float32)
            dense[np.ix_(rows, columns)] = values
            table.layers[key] = dense
            record(
                table,
                key,
                oof_record(cv, predictor.name, predictor.kind) | written(table, slides, key, cv.manifest.layer),
            )
    target = _keys.sanitize(cv.manifest.layer)
    before = recorded(table, LATEST)
    runs = list(dict.fromkeys([*before.get("runs", []), cv.run_id]))
    latest = before.get("latest", {}) | {target: cv.run_id}
    record(table, LATEST, {"latest": latest, "runs": runs, "seeds": seeds})
    ids = {
        _keys.REGION: table.obs[_keys.REGION].iloc[rows].astype(str).tolist(),
        _keys.INSTANCE: as_ids(table.obs[_keys.INSTANCE])[rows].tolist(),
    }
    write_oof(cv.folder, stored, ids, cv.genes)
    logger.info("cross_validate: added layers %s", [_keys.oof(n) for n in stored])
