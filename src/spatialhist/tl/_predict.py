"""Predict slides with a trained model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.layers import add_dense_rows, check_key, check_layer_size, record, recorded, with_genes
from spatialhist._sdata.slides import Cohort, open_cohort
from spatialhist.nn import get_encoder
from spatialhist.tl._apply import Applier, Source
from spatialhist.tl._gather import gather_slide
from spatialhist.tl._pixel_hash import pixel_hash
from spatialhist.tl._threads import pinned_threads

if TYPE_CHECKING:
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
    table_key: str = _keys.TABLE,
    progress: bool = True,
) -> None:
    """Predict the spots of slides with what was trained.

    A new slide is predicted by the mean over the folds of each model, combined by the weights of the stack. A slide the
    run was trained on (recognised by its pixels, whatever its name) is predicted by the fold that left it out, so that
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
    table_key
        Name of the table.
    progress
        Show a progress bar.

    Returns
    -------
    Added: ``layers[key_added]``, spots x genes float32 in the units the model was trained in
    (``uns["spatialhist"][key_added]["target"]``); NaN for genes outside the panel, and for other slides unless the same
    model predicted them before. Panel genes that the table lacks are added to it, marked as not measured.

    Raises
    ------
    KeyError
        If the image or the mask is missing; the message names the call that makes it.
    ValueError
        If a model fitted on everything is asked for a slide it was fitted on.
    """
    from tqdm.auto import tqdm

    cohort = open_cohort(sdata, slides, table_key=table_key)
    check_key(key_added)
    applier = Applier.of(model)
    design = applier.design(encoder)
    encode = get_encoder(design.encoder)
    known = len(cohort.table.var_names.union(applier.genes))
    check_layer_size(cohort.table.n_obs, known)
    values = {}
    for slide in tqdm(cohort.slides, desc="predict", disable=not progress):
        with pinned_threads(applier.threads):
            samples = gather_slide(
                cohort,
                slide,
                cohort.rows(slide),
                design,
                encode,
                tiles=applier.needs_tiles,
                cache=Path(cache) if cache else None,
            )
            values[slide] = applier.predict(samples, training_slide=applier.trained_on(pixel_hash(cohort, slide)))
    write_predictions(cohort, table_key, key_added, values, applier)
    logger.info("predict: added layer %r for %s", key_added, cohort.slides)


def write_predictions(
    cohort: Cohort, table_key: str, key_added: str, values: dict[str, np.ndarray], applier: Applier
) -> None:
    """Put predictions of slides into a layer, with genes the table lacks and how they were made."""
    table = with_genes(cohort.table, applier.genes)
    if table is not cohort.table:
        cohort.sdata.tables[table_key] = table
    columns = table.var_names.get_indexer(applier.genes)
    before, made = recorded(table, key_added), provenance(applier, list(values))
    same = all(before.get(k) == made[k] for k in ("step", "run", "predictor"))
    if not same:
        table.layers.pop(key_added, None)
    for slide, predicted in values.items():
        add_dense_rows(table, key_added, cohort.rows(slide), columns, predicted)
    kept = [str(s) for s in before["predicted_slides"] if s not in values] if same else []
    record(table, key_added, made | {"predicted_slides": [*kept, *values]})


def provenance(applier: Applier, slides: list[str]) -> dict[str, Any]:
    """What a layer of predictions was made by, and what that was fitted on."""
    identity = applier.run.manifest["identity"]
    return {
        "step": "predict",
        "predictor": applier.name,
        "kind": "model",
        "target": identity["layer"],
        "ranking": applier.run.manifest["ranking"],
        "units": applier.run.manifest.get("units", {}),
        "run": str(applier.run.folder),
        "predicted_slides": slides,
        "fitted_on": list(applier.run.manifest["slides"]),
        "image": identity["design"]["image"],
    }
