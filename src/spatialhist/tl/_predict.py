"""Predict slides with a trained model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import as_folder
from spatialhist._runtime.threads import pinned_threads
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.composition import as_composition
from spatialhist._sdata.layers import check_key, check_layer_size
from spatialhist._sdata.subset import add_genes
from spatialhist.nn import get_encoder
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.engines import as_engine
from spatialhist.tl._data.features import View, slide_features
from spatialhist.tl._inference.layers import write_predictions, write_scores
from spatialhist.tl._inference.mismatch import mismatches
from spatialhist.tl._inference.relatives import Relatives
from spatialhist.tl._load import Source, as_trained
from spatialhist.tl._runs.composition import check_composition
from spatialhist.tl._runs.out_of_distribution import warn_of_far
from spatialhist.tl._runs.since import remember_own_labels

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
    device: str = "auto",
    precision: str = "auto",
    composition: bool = False,
    allow_training: bool = False,
    table_key: str = _keys.TABLE,
    progress: bool = True,
) -> None:
    """Predict the spots of slides with what was trained.

    A new slide is predicted by the mean over the folds of each model, combined by the weights of the stack. A slide the
    run was trained on (recognized by its pixels, whatever its name; cropped, turned, re-encoded or recolored, too) is predicted by the fold that left it out, so that
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
        The encoder itself, if the model was trained on one of your own; the name of one whose weights are downloaded, which
        confirms that you trust it.
    cache
        Folder that keeps features, None to keep none.
    device
        Where the encoder runs: ``"auto"`` (CUDA, MPS, CPU, the first that is there), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or
        ``"mps"``; an encoder without weights, as ``"color_texture"``, runs on all cores of the CPU.
    precision
        In which the encoder computes: ``"auto"`` is ``"float16"`` on CUDA and ``"float32"`` elsewhere; or ``"float32"``,
        ``"float16"``, ``"bfloat16"``, the latter two on CUDA only.
    composition
        Clip predictions at 0 and divide those of a spot by their sum, for a model of proportions (see
        :func:`spatialhist.pp.obsm_to_table`). A spot of which no part is predicted above 0 gets NaN.
    allow_training
        Let a model fitted on everything predict slides it was fitted on. What it says of them repeats their labels; such
        slides are named in the record of the layer, and :func:`evaluate` refuses them.
    table_key
        Name of the table.
    progress
        Show a progress bar.

    Returns
    -------
    None
        Added: ``layers[key_added]``, spots x genes float32 in the units the model was trained in
        (``uns["spatialhist"][key_added]["target"]``); NaN for genes outside the panel, and for other slides unless the
        same model predicted them before. Panel genes that the table lacks are added to it, marked as not measured.
        Which genes are reliable: ``var["<key_added>_verdict"]``, ``_score``, ``_beyond_depth`` and ``_ceiling_fraction``
        (see :func:`gene_reliability`), and between which values lie 98 % of the training measurements,
        ``_measured_low`` and ``_measured_high``, where the model was evaluated. What each slide is to the model stands in
        ``uns["spatialhist"][key_added]["predicted_as"]``.

        ``obs["out_of_distribution"]`` says how far a spot lies from those of training, from 0 to 1 (see
        :func:`predict_grid`).

    Raises
    ------
    KeyError
        If the image or the mask is missing; the message names the call that makes it.
    ValueError
        If a model fitted on everything is asked for a slide it was fitted on, the stain of a slide was normalized in
        another way than in training, the device is not there, or ``composition`` is asked of a model that does not predict all parts of a whole.
    TypeError, NotADirectoryError
        If ``cache`` is no path, or a file.

    Warns
    -----
    UserWarning
        If scale, genes or units of a slide do not fit the model, if it is a copy of a training slide, or if its patient was
        trained on; the message says what to do.
    """
    from tqdm.auto import tqdm

    cohort = open_cohort(sdata, slides, table_key=table_key)
    check_key(key_added)
    kept, compute = as_folder("cache", cache), Compute(device, precision)
    trained = as_trained(model, allow_training=allow_training)
    if composition:
        check_composition(trained)
    design = trained.design(encoder)
    encode = as_engine(get_encoder(design.encoder), compute)
    # the table will grow by the genes of the panel that it lacks
    known = len(cohort.table.var_names.union(trained.genes))
    check_layer_size(cohort.table.n_obs, known)
    opened = cohort.every_slide()
    relatives = Relatives.of(trained)
    training = {s.name: relatives.training_slide(s) for s in opened}
    for text in relatives.told(opened):
        warnings.warn(text, stacklevel=2)
    for name in training.values():
        trained.check_slide(name)
    for text in mismatches(cohort.table, opened, trained):
        warnings.warn(text, stacklevel=2)
    values, ood = {}, {}
    for slide in tqdm(opened, desc="predict", disable=not progress):
        with pinned_threads(trained.threads):
            view = View.of(slide, design, tiles=trained.needs_tiles)
            parts = slide_features(slide, view, design, encode, kept).parts()
            as_training = {"training_slide": training[slide.name]}
            each = [(trained.predict(p, **as_training), trained.out_of_distribution(p, **as_training)) for p in parts]
            predicted, ood[slide.name] = (np.concatenate(v) for v in zip(*each, strict=True))
            values[slide.name] = as_composition(predicted) if composition else predicted
            warn_of_far(slide.name, ood[slide.name])
    # only now that every slide is predicted: an error until here leaves the table as it was
    table, rows = add_genes(cohort, trained.genes), {s.name: s.rows for s in opened}
    write_predictions(table, key_added, rows, values, trained, training, composition=composition)
    remember_own_labels(table, key_added, [s for s in opened if trained.repeats_labels(training[s.name])])
    write_scores(table, rows, ood, trained)
    logger.info("predict: added layer %r for %s", key_added, cohort.slides)
