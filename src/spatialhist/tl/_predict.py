"""Predict slides with a trained model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.cohort import Cohort, open_cohort
from spatialhist._sdata.layers import add_dense_rows, check_key, check_layer_size, record, recorded, with_genes
from spatialhist._sdata.pixel_hash import pixel_hash
from spatialhist.nn import get_encoder
from spatialhist.tl._data.gather import gather_slide
from spatialhist.tl._inference.mismatch import mismatches
from spatialhist.tl._inference.trained import Applier, Source
from spatialhist.tl._runs.out_of_distribution import warn_of_far
from spatialhist.tl._scores.card import add_reliability

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def predict(
    sdata: SpatialData,
    model: Source,
    *,
    slides: str | Sequence[str] | None = None,
    key_added: str = _keys.PREDICTED,
    encoder: Any = None,
    cache: str | Path | None = None,
    allow_training: bool = False,
    table_key: str = _keys.TABLE,
    progress: bool = True,
) -> None:
    """Predict the spots of slides with what was trained.

    A new slide is predicted by the mean over the folds of each model, combined by the weights of the stack. A slide the
    run was trained on (recognized by its pixels, whatever its name) is predicted by the fold that left it out, so that
    its own labels never reach its prediction.

    Parameters
    ----------
    sdata
        Object with the slides; each needs a tissue mask and the image the model was trained on.
    model
        A stack, a cross-validation (several models are averaged), a fitted model, or a run folder.
    slides
        None for all.
    key_added
        Name of the layer.
    encoder
        The encoder itself, if the model was trained on one of your own.
    cache
        Folder that keeps features, None to keep none.
    allow_training
        Let a model fitted on everything predict slides it was fitted on. What it says of them repeats their labels; such
        slides are named in the record of the layer, and :func:`evaluate` refuses them.
    table_key
        Name of the table.
    progress
        Show a progress bar.

    Returns
    -------
    Added: ``layers[key_added]``, spots x genes float32 in the units the model was trained in
    (``uns["spatialhist"][key_added]["target"]``); NaN for genes outside the panel, and for other slides unless the same
    model predicted them before. Panel genes that the table lacks are added to it, marked as not measured. Which genes to
    trust: ``var["<key_added>_verdict"]``, ``_score`` and ``_ceiling_fraction`` (see :func:`gene_reliability`), where
    the model was judged. What each slide is to the model stands in ``uns["spatialhist"][key_added]["predicted_as"]``.

    ``obs["out_of_distribution"]`` says how far a spot lies from those of training, from 0 to 1 (see :func:`predict_grid`).

    Raises
    ------
    KeyError
        If the image or the mask is missing; the message names the call that makes it.
    ValueError
        If a model fitted on everything is asked for a slide it was fitted on, or the stain of a slide was normalized in
        another way than in training.

    Warns
    -----
    UserWarning
        If scale, genes or units of a slide do not fit the model; the message says what to do.
    """
    from tqdm.auto import tqdm

    cohort = open_cohort(sdata, slides, table_key=table_key)
    check_key(key_added)
    applier = Applier.of(model, allow_training=allow_training)
    design = applier.design(encoder)
    encode = get_encoder(design.encoder)
    known = len(cohort.table.var_names.union(applier.genes))
    check_layer_size(cohort.table.n_obs, known)
    training = {s: applier.trained_on(pixel_hash(cohort, s)) for s in cohort.slides}
    for name in training.values():
        applier.check_slide(name)
    for text in mismatches(cohort, applier):
        warnings.warn(text, UserWarning, stacklevel=2)
    values, away = {}, {}
    for slide in tqdm(cohort.slides, desc="predict", disable=not progress):
        with pinned_threads(applier.threads):
            parts = gather_slide(
                cohort,
                slide,
                cohort.rows(slide),
                design,
                encode,
                tiles=applier.needs_tiles,
                cache=Path(cache) if cache else None,
            )
            as_training = {"training_slide": training[slide]}
            each = [(applier.predict(p, **as_training), applier.out_of_distribution(p, **as_training)) for p in parts]
            values[slide], away[slide] = (np.concatenate(v) for v in zip(*each, strict=True))
            warn_of_far(slide, away[slide])
    write_predictions(cohort, table_key, key_added, values, applier, training)
    _write_scores(cohort, sdata.tables[table_key], away, applier)
    logger.info("predict: added layer %r for %s", key_added, cohort.slides)


def write_predictions(
    cohort: Cohort,
    table_key: str,
    key_added: str,
    values: dict[str, np.ndarray],
    applier: Applier,
    training: dict[str, str | None],
) -> None:
    """Put predictions of slides into a layer, with genes the table lacks and how they were made."""
    table = with_genes(cohort.table, applier.genes)
    if table is not cohort.table:
        cohort.sdata.tables[table_key] = table
    columns = table.var_names.get_indexer(applier.genes)
    before, made = recorded(table, key_added), provenance(applier, training)
    same = all(before.get(k) == made[k] for k in ("step", "run_id", "predictor"))
    if not same:
        table.layers.pop(key_added, None)
    for slide, predicted in values.items():
        add_dense_rows(table, key_added, cohort.rows(slide), columns, predicted)
    record(table, key_added, _with_slides_before(made, before) if same else made)
    add_reliability(table, key_added, applier.card)


def _write_scores(cohort: Cohort, table: AnnData, away: dict[str, np.ndarray], applier: Applier) -> None:
    """Put the scores of slides into ``obs``; those of another run are forgotten."""
    key, run = _keys.OUT_OF_DISTRIBUTION, str(applier.run.folder)
    before = recorded(table, key)
    if before.get("run") != run or key not in table.obs:
        table.obs[key] = np.full(table.n_obs, np.nan, dtype=np.float32)
        before = {}
    column = table.obs[key].to_numpy(dtype=np.float32, copy=True)
    for slide, score in away.items():
        column[cohort.rows(slide)] = score
    table.obs[key] = column
    slides = [*(str(s) for s in before.get("predicted_slides", []) if s not in away), *away]
    record(table, key, {"step": "predict", "run": run, "predicted_slides": slides})


def provenance(applier: Applier, training: Mapping[str, str | None]) -> dict[str, Any]:
    """What a layer of predictions was made by, what that was fitted on, and what the predicted slides are to it.

    Parameters
    ----------
    applier
        What predicts.
    training
        Predicted slides, with the name under which the run was trained on them, None for new ones.
    """
    identity = applier.run.manifest["identity"]
    return {
        "step": "predict",
        "predictor": applier.name,
        "kind": "model",
        "target": identity["layer"],
        "ranking": applier.run.manifest["ranking"],
        "units": applier.run.manifest.get("units", {}),
        "run": str(applier.run.folder),
        "run_id": applier.run.run_id,
        "predicted_slides": list(training),
        "predicted_as": [applier.predicts_as(slide, name) for slide, name in training.items()],
        "fitted_on_own_labels": [slide for slide, name in training.items() if applier.repeats_labels(name)],
        "fitted_on": list(applier.run.manifest["slides"]),
        "image": identity["design"]["image"],
    }


def _with_slides_before(made: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Keep what is recorded of slides that the same model predicted in an earlier call."""
    known = dict(zip(before["predicted_slides"], before["predicted_as"], strict=True))
    known = {s: w for s, w in known.items() if s not in made["predicted_slides"]}
    known |= dict(zip(made["predicted_slides"], made["predicted_as"], strict=True))
    seen = {*before["fitted_on_own_labels"], *made["fitted_on_own_labels"]}
    return made | {
        "predicted_slides": list(known),
        "predicted_as": list(known.values()),
        "fitted_on_own_labels": sorted(seen),
    }
