"""Score predictions of any origin, and models on several encoders, beside baselines: one table, the same spots and genes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort, usable_rows
from spatialhist._sdata.layers import record, recorded
from spatialhist._sdata.shadow import shadow
from spatialhist.metrics import is_constant
from spatialhist.tl._cross_validate import cross_validate
from spatialhist.tl._data.design import COLOR_TEXTURE, Design, DesignOptions
from spatialhist.tl._evaluate import evaluate
from spatialhist.tl._predictors.registry import resolve_models
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.given import STEP, Given, Layers, gather_given
from spatialhist.tl._runs.provenance import oof_record
from spatialhist.tl._scores.metrics import Chosen, Layout, Metric
from spatialhist.tl._scores.scorer import MIN_COUNTS
from spatialhist.tl._scores.summarize import summarize

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist.tl._predictors.protocol import Predictor

logger = logging.getLogger(__name__)

GENES = 250
"""Size of the panel where no predictions say which genes."""
SHOWN = ("pearson", "pearson_beyond_depth", "slope", "variance_ratio", "rmse")
"""Metrics that stand in the summary, as far as they are scored."""


def _slope(truth: np.ndarray, predicted: np.ndarray, layout: Layout) -> float:
    """Slope of measured on predicted values, genes centered, over all of them; NaN of predictions that do not vary."""
    varying = ~is_constant(predicted)
    truth, predicted = (values[:, varying].astype(np.float64) for values in (truth, predicted))
    truth, predicted = truth - truth.mean(axis=0), predicted - predicted.mean(axis=0)
    return float((truth * predicted).sum() / (predicted**2).sum()) if varying.any() else float("nan")


SLOPE = Metric("slope", _slope, per="slide", in_units=True, label="slope of measured on predicted values")


@dataclass(frozen=True)
class Benchmark:
    """What :func:`benchmark` returns; :func:`spatialhist.report.write` takes it.

    Attributes
    ----------
    scores
        Table as :func:`evaluate` returns it, for :func:`summarize`, :func:`compare` and the plots.
    runs
        The cross-validation on each encoder, by its name.
    notes
        What cannot be known of the predictions, and what of them was not found, in sentences.
    """

    scores: pd.DataFrame = field(repr=False)
    runs: dict[str, CrossValidation]
    notes: list[str]

    @property
    def cv(self) -> CrossValidation:
        """Run on the first encoder, whose baselines stand in the table."""
        return next(iter(self.runs.values()))

    @property
    def summary(self) -> pd.DataFrame:
        """Kind, both headlines, calibration and wins of every predictor."""
        table = summarize(self.scores)
        known = [name for name in SHOWN if name in set(self.scores["metric"])]
        shown = {name: summarize(self.scores, metric=name)["mean"].reindex(table.index) for name in known}
        return pd.DataFrame({"kind": table["kind"], **shown, "wins": table["wins"]})

    def __repr__(self) -> str:
        table = self.summary.round(3).to_string()
        return "\n".join([table, *(f"- {note}" for note in self.notes)])


def benchmark(
    sdata: SpatialData,
    layers: Layers = (),
    *,
    encoders: Mapping[str, Any] | None = None,
    models: str | Predictor | Sequence[str | Predictor] = "ridge",
    groups: str = "auto",
    truth: str = _keys.LOG1P,
    genes: int | Sequence[str] | None = None,
    slides: str | Sequence[str] | None = None,
    same_units: bool = True,
    metrics: Chosen | Sequence[Chosen] = "default",
    min_counts: int = MIN_COUNTS,
    depth: str | None = None,
    design: Design | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    executor: Any = None,
    threads: int = 1,
    seed: int = 0,
    table_key: str = _keys.TABLE,
    progress: bool = True,
    **options: Unpack[DesignOptions],
) -> Benchmark:
    """Score predictions of any origin, and models on several encoders, in one table beside the baselines.

    Models and baselines are cross-validated on the measured slides (:func:`cross_validate`); everything is then scored on
    the same spots and genes, those that all of them predict, with the upper references beside it.

    Parameters
    ----------
    sdata
        Measured slides, with a tissue mask a slide.
    layers
        Predictions: names of layers, paths, or a dictionary from names to layers, paths (CSV, TSV, Parquet, h5ad),
        DataFrames, AnnDatas or arrays. Files and tables hold spots x genes, and are joined by barcodes and names of genes.
        Barcodes that lie on several slides are written ``SLIDE_BARCODE``, or a column ``slide`` says the slide.
    encoders
        Encoders by name, to be compared: ``{"color": "color_texture", "own": network}``. Models and what depends on
        the encoder are then called ``ridge@color``; baselines that are the same for all stand in the table once. None for
        the encoder of the design.
    models
        What is trained on them, see :func:`cross_validate`.
    groups
        What is held out together: ``"auto"``, ``"patient"``, ``"slide"`` or a column of ``obs``.
    truth
        Layer of measurements that all of them predict.
    genes
        None for the genes that all ``layers`` predict (250 where there are none); or names, or the size of the panel that
        each fold chooses by its training slides.
    slides
        None for all that were measured.
    same_units
        False if ``layers`` are in other units than ``truth`` (ranks, z-scores): they get no score that depends on units.
    metrics, min_counts, depth
        See :func:`evaluate`.
    design
        What models look at, see :class:`Design`.
    out
        Folder for the runs, one for each of several encoders. An interrupted call resumes there. None keeps nothing.
    overwrite
        Replace other runs in ``out``.
    executor, threads, seed
        See :func:`cross_validate`.
    table_key
        Name of the table.
    progress
        Show progress bars.
    **options
        Fields of :class:`Design`, in the place of ``design``.

    Returns
    -------
    Benchmark
        Scores, runs, and notes on what cannot be known: whether the slides were in the training of a predictor that
        comes from elsewhere. Predictions that were no layers yet are added as layers of their name, NaN where there are
        none; nothing else is added to the object.

    Raises
    ------
    FileNotFoundError, TypeError
        If predictions are neither a layer, a file nor a table.
    KeyError
        If the truth, genes or masks are missing.
    ValueError
        If no barcode or no gene is found, an array has another shape than the table, barcodes are ambiguous, a name is
        taken, or a layer was predicted by a model that was fitted on the slides to be scored.

    Warns
    -----
    UserWarning
        If barcodes match in part, or predictions leave out spots and genes that others predict; the message counts them.

    Notes
    -----
    A stack over several encoders needs their models in one run; the runs here have one encoder each. ``slope`` is that of
    the measured on the predicted values of a slide: 1 is calibrated, less says that differences are exaggerated.

    Examples
    --------
    A mean profile correlates with every spot across genes, and scores 0 within slides:

    >>> import numpy as np
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> table = sdata["table"]
    >>> profile = np.tile(table.layers["log1p"].toarray().mean(axis=0), (table.n_obs, 1))
    >>> bench = sh.tl.benchmark(sdata, {"profile": profile}, progress=False)
    >>> float(bench.summary.loc["profile", "pearson"])
    0.0
    """
    cohort = open_cohort(sdata, slides, table_key=table_key)
    looks, rows = Design.of_call(design, options), usable_rows(cohort.every_slide())
    by_name = _encoders(encoders, looks.encoder)
    given = gather_given(cohort.table, layers, truth, rows, [p.name for p in resolve_models(models)])
    panel = _panel(cohort.table, given, rows, genes)
    # the runs write into a table of their own: the user's keeps its layers, and gets what was joined at the end
    own = shadow(sdata, table_key)
    run = partial(
        cross_validate, own, models=models, layer=truth, genes=panel, groups=groups, slides=slides, overwrite=overwrite,
        executor=executor, threads=threads, seed=seed, table_key=table_key, progress=progress,
    )  # fmt: skip
    runs, held = {}, {}
    for name, encoder in by_name.items():
        folder = out if out is None or len(by_name) == 1 else Path(out) / name
        runs[name] = run(design=replace(looks, encoder=encoder), out=folder)
        held[name] = _taken(own.tables[table_key], runs[name])
    ours = _in_one_table(held)
    _lay_out(own.tables[table_key], given, ours, next(iter(runs.values())), truth, same_units=same_units)
    chosen = list(metrics) if isinstance(metrics, Sequence) and not isinstance(metrics, str) else [metrics]
    scores = evaluate(
        own, truth=truth, layers=[*(g.name for g in given), *ours], slides=slides, metrics=[*chosen, SLOPE],
        min_counts=min_counts, depth=depth, seed=seed, table_key=table_key,
    )  # fmt: skip
    _add(cohort.table, own.tables[table_key], given)
    return Benchmark(scores, runs, [*(note for g in given for note in g.notes), *(g.origin for g in given)])


@dataclass(frozen=True)
class _Held:
    """Out-of-fold predictions ``(spots, genes)`` of a model or baseline."""

    kind: str
    values: np.ndarray

    def equals(self, other: _Held) -> bool:
        """Whether another one says the same, as a baseline does that does not look at the encoder's features."""
        return np.array_equal(self.values, other.values, equal_nan=True)


def _encoders(encoders: Mapping[str, Any] | None, encoder: Any) -> dict[str, Any]:
    """Encoders by name; that of the design where none are named."""
    if encoders is None:
        return {"": encoder}
    if encoder != COLOR_TEXTURE:
        raise ValueError("encoders= and encoder= are both given: put all encoders into encoders={name: encoder}")
    if not encoders:
        raise ValueError("encoders={} names none: leave it out, or pass {name: encoder}")
    if odd := [name for name in encoders if not name or _keys.sanitize(name) != name]:
        raise ValueError(f"encoders= has the name {odd[0]!r}: use letters, digits, '_', '.' and '-'")
    return dict(encoders)


def _panel(
    table: AnnData, given: Sequence[Given], rows: dict[str, np.ndarray], genes: int | Sequence[str] | None
) -> int | Sequence[str]:
    """Genes that models and baselines are fitted for: by default those that all predictions hold."""
    if genes is not None or not given:
        return GENES if genes is None else genes
    measured = np.concatenate(list(rows.values()))
    each = [np.isfinite(g.values[measured]).any(axis=0) for g in given]
    shared = np.logical_and.reduce(each)
    if not shared.any():
        counts = {g.name: int(found.sum()) for g, found in zip(given, each, strict=True)}
        raise ValueError(f"no gene of a measured spot is predicted by all of layers=; they predict {counts} genes")
    return list(table.var_names[shared])


def _taken(table: AnnData, cv: CrossValidation) -> dict[str, _Held]:
    """Take the layers that a run wrote out of the table."""
    # the layer of the mean or of a single model repeats what its models hold
    table.layers.pop(_keys.OOF, None)
    return {p.name: _Held(p.kind, table.layers.pop(_keys.oof(p.name))) for p in (*cv.models, *cv.baselines)}


def _in_one_table(by_encoder: Mapping[str, Mapping[str, _Held]]) -> dict[str, _Held]:
    """Predictions of all runs by the names that they get; a baseline that is the same on every encoder stands there once."""
    first, *others = by_encoder.values()
    if not others:
        return dict(first)
    shared = {
        name: held
        for name, held in first.items()
        if held.kind == "baseline" and all(name in o and held.equals(o[name]) for o in others)
    }
    each = {
        f"{name}@{encoder}": held
        for encoder, found in by_encoder.items()
        for name, held in found.items()
        if name not in shared
    }
    return each | shared


def _lay_out(
    table: AnnData,
    given: Sequence[Given],
    ours: Mapping[str, _Held],
    cv: CrossValidation,
    truth: str,
    *,
    same_units: bool,
) -> None:
    """Put all predictions into a table of our own, with the groups that they are scored in."""
    for name, held in ours.items():
        table.layers[name] = held.values
        record(table, name, oof_record(cv, name, held.kind))
    groups = cv.manifest.group_of
    for g in given:
        made = {"step": STEP, "kind": "model", **(g.made or {})}
        where = {"slides": list(groups), "groups": list(groups.values())}
        units = {} if same_units else {"space": "other units"}
        table.layers[g.name] = g.values
        record(table, g.name, {**made, **units, **where, "predictor": g.name, "target": truth})


def _add(table: AnnData, own: AnnData, given: Sequence[Given]) -> None:
    """Add what was joined to the user's table."""
    joined = [g for g in given if g.made is None]
    for g in joined:
        table.layers[g.name] = g.values
        record(table, g.name, recorded(own, g.name))
    logger.info("benchmark: added layers %s", [g.name for g in joined])
