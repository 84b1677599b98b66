"""Score layers of predictions against a layer of measurements. Predictors write layers, this scores them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.layers import get_dense_layer, recorded
from spatialhist.metrics._shared.gene_sets import GeneSets, as_gene_sets
from spatialhist.tl._data.measured_target import check_predicts, measured_target
from spatialhist.tl._data.origin import foreign
from spatialhist.tl._runs.cross_validation import LATEST
from spatialhist.tl._runs.since import changes, repeats_labels
from spatialhist.tl._scores.belonging import describe_scores
from spatialhist.tl._scores.gene_sets import tell_of_small_sets
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, Chosen, choose_metrics, documented
from spatialhist.tl._scores.scorer import COLUMNS, MIN_COUNTS, Record, Scorer

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)


@documented
def evaluate(
    sdata: SpatialData,
    *,
    truth: str = _keys.LOG1P,
    layers: Sequence[str] | None = None,
    slides: str | Sequence[str] | None = None,
    metrics: Chosen | Sequence[Chosen] = "default",
    min_counts: int = MIN_COUNTS,
    depth: str | None = None,
    gene_sets: GeneSets | None = None,
    oracles: bool = True,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> pd.DataFrame:
    """Score predictions within slides, gene by gene.

    There are two headlines. ``pearson``: within a slide, per gene, over spots. ``pearson_beyond_depth``: the same, after the
    total counts of a spot were regressed out of measured and predicted values. Depth follows cellularity, which H&E shows, so
    'beyond depth' is a lower bound of what is learned about genes. :func:`summarize` averages over genes, slides and groups.
    A constant prediction is scored 0; a gene that is constant in the truth is left out (value NaN).

    Parameters
    ----------
    sdata
        Object with measured slides and layers of predictions.
    truth
        Layer of measurements. Ranks are taken again within the genes that were predicted.
    layers
        Layers of predictions; None for everything that the latest :func:`cross_validate` for this truth and its
        :func:`stack` wrote. Layers of an earlier run are left out with a warning, unless they are named.
    slides
        None for all that were measured.
    metrics
        Names, or ``"all"``. Per gene: %(gene)s; per slide: %(slide)s; over all slides: %(cohort)s; of the measurement:
        %(measurement)s. ``"default"`` leaves out %(not_default)s. Add a metric of your own as a function of measured and
        predicted values ``(spots, genes)`` that returns one value per gene, ``["default", my_metric]``, or as a
        :class:`Metric`. ``"pearson"`` brings ``"pearson_beyond_depth"`` along.
    min_counts
        Spots of fewer counts are not scored; ignored where ``X`` holds no counts.
    depth
        Column of ``obs`` with the total counts of every spot. None for the sums of the counts that the truth was made from
        (else of ``X`` or ``layers["counts"]`` where they hold counts), or else ``obs["total_counts"]``. Where there is none
        of these, as for proportions, ``pearson_beyond_depth`` is NaN and a warning says so.
    gene_sets
        Score means over gene sets, too: a dict of names and genes, a table with the columns source and target (the long
        format of decoupler), or the path of a ``.gmt`` file; see :func:`spatialhist.metrics.gene_set_scores`. Most sets
        of many genes score higher than their genes do, so random sets of the same sizes always stand beside them.
    oracles
        Add what sees the scored slide's own truth: ``oracle_depth``, ``oracle_neighbors`` (needs
        :func:`spatialhist.pp.spot_distances`) and the ``noise_ceiling``. They are for scale, not to be beaten.
    seed
        For the noise ceiling and random gene sets.
    table_key
        Name of the table.

    Returns
    -------
    DataFrame
        Table with the columns predictor, kind (``model``, ``stack``, ``baseline``, ``oracle``), group, slide, target
        (``""`` for scores over all targets), metric, value, n (spots). Beside ``spot_spearman`` stand
        ``spots_left_out``, the number of spots whose measured profile is constant, and ``spots_constant``, of those
        whose prediction is: these count 0. With ``gene_sets``, the metrics ``gene_set_pearson``,
        ``gene_set_single_genes``, ``gene_set_random``, ``gene_set_percentile`` and ``gene_set_size``, of which target is the
        set; where the depth of spots is known, the first four also with the ending ``_beyond_depth``.

    Raises
    ------
    KeyError
        If a layer or the column ``depth`` is missing, or there is no layer to score.
    FileNotFoundError
        If the ``.gmt`` file is missing.
    ValueError
        If the truth was smoothed, ``depth`` has gaps, a layer predicts something else or was made by a model that was fitted
        on the slides to be scored, a metric is not known, no measured spot is left, or no gene set has two genes among those
        that are predicted.

    Notes
    -----
    Spots, genes and slides without a prediction (NaN) are not scored, nor are genes that a slide did not measure. On a
    slide all layers are scored on the same spots and genes: those that every layer predicts which predicts any there; a
    warning names what a layer left out. A slide with fewer than 10 scored spots has no score, which a warning says.
    ``rank_mean`` stacks predict ranks: they get no score that depends on units (RMSE, R2, variance ratio). Formulas
    stand in :mod:`spatialhist.metrics`.
    """
    cohort = open_cohort(sdata, slides, table_key=table_key)
    table, every = cohort.table, cohort.every_slide()
    scorer = Scorer.of(table, every, truth, min_counts=min_counts, chosen=choose_metrics(metrics), depth=depth)
    _tell_of_depth(scorer)
    chosen = check_predicts(table, cohort.slides, truth, layers) if layers is not None else _found(table, truth)
    scorer = replace(scorer, gene_sets={} if gene_sets is None else as_gene_sets(gene_sets), seed=seed)
    told = _told(table, every, scorer.rows, truth, chosen)
    for text in told:
        warnings.warn(text, stacklevel=2)
    # layer by layer, gone through more than once: all of them as dense arrays may not fit into memory
    scorer = scorer.on_what_all_predict(lambda: ((layer, get_dense_layer(table, layer)) for layer in chosen))
    records: list[Record] = []
    scored: dict[str, int] = {}
    for layer in chosen:
        made, values = recorded(table, layer), get_dense_layer(table, layer)
        scored[layer] = scorer.n_scored(values)
        records += scorer.score(
            values,
            made.get("predictor", layer),
            made.get("kind", "model"),
            group_of_slides(table, every, layer),
            same_units="space" not in made,
        )
    if not any(np.isfinite(record[COLUMNS.index("value")]) for record in records):
        raise ValueError(
            f"layers {chosen} hold no finite prediction that could be scored: nothing was predicted on the measured spots of "
            f"slides {list(scorer.rows)}, or a network diverged"
        )
    if oracles:
        # a store hands out its layers in any order, and the first may predict nothing
        widest = max(scored, key=scored.__getitem__)
        records += scorer.oracles(get_dense_layer(table, widest), group_of_slides(table, every, widest), seed=seed)
    scores = pd.DataFrame(records, columns=COLUMNS)
    if scorer.gene_sets:
        tell_of_small_sets(scores, scorer.gene_sets, scorer.genes())
    runs = [recorded(table, layer).get("run_id", "") for layer in chosen]
    describe_scores(scores, runs=runs, truth=truth, min_counts=min_counts, told=told)
    logger.info("evaluate: %d scores of %d layers on %d slides", len(scores), len(chosen), len(scorer.rows))
    return scores


def _tell_of_depth(scorer: Scorer) -> None:
    """Say why a column is empty."""
    if scorer.depth is None and any(m.needs_depth for m in scorer.chosen):
        warnings.warn(
            f"{BEYOND_DEPTH} is empty: no counts lie behind {scorer.truth!r} and obs has no 'total_counts', so that nothing says "
            "how deep a spot is (proportions have no depth); put total counts into a column of obs and name it by depth=",
            stacklevel=3,
        )


def _told(
    table: AnnData, slides: Sequence[Slide], rows: Mapping[str, np.ndarray], truth: str, layers: Sequence[str]
) -> list[str]:
    """What may make scores look better than they are.

    Raises
    ------
    ValueError
        If a layer of any name holds predictions by a model that was fitted on the labels of a slide.
    """
    found = []
    for layer in layers:
        if seen := repeats_labels(table, slides, layer):
            raise ValueError(
                f"layer {layer!r} holds predictions by a model that was fitted on the labels of slides {seen}: there is "
                "nothing to score; leave them out with slides=, or score a cross-validation"
            )
        found += changes(table, slides, layer)
        if not recorded(table, layer):
            found.append(
                f"layer {layer!r} was made outside this package, and what predicted it is not recorded: if that was fitted on "
                "the labels of slides that it is scored on, scores are not held-out"
            )
    known = [np.isfinite(get_dense_layer(table, layer)).any(axis=0) for layer in layers]
    columns = np.flatnonzero(np.any(known, axis=0))
    origin = foreign(table, slides, rows, truth, columns)
    return list(dict.fromkeys([*([] if origin is None else [origin]), *found]))


def _found(table: AnnData, truth: str) -> list[str]:
    """Layers of the latest run for a truth, one a predictor."""
    mine = [k for k in layer_names(table) if measured_target(table, k) == truth]
    # predictions of new slides and of other tools are scored where they are named
    mine = [k for k in mine if recorded(table, k).get("step") not in ("predict", "benchmark")]
    latest = recorded(table, LATEST).get("latest", {})
    stale = [k for k in mine if _is_stale(recorded(table, k), latest)]
    found = [k for k in mine if k not in stale]
    if not found:
        raise KeyError(
            f"no layer predicts {truth!r}; found {layer_names(table)}: run sh.tl.cross_validate(sdata, "
            f"layer={truth!r}), or name layers="
        )
    if stale:
        warnings.warn(
            f"layers {stale} are of an earlier run and not scored: name them in layers=, or delete them",
            stacklevel=3,
        )
    by_predictor: dict[str, str] = {}
    for name in found:  # a single model's predictions are in "oof" too
        by_predictor.setdefault(recorded(table, name).get("predictor", name), name)
    return list(by_predictor.values())


def _is_stale(made: dict[str, str], latest: dict[str, str]) -> bool:
    """Whether a layer was made by a run that a later one for the same target has followed."""
    run = latest.get(_keys.sanitize(made["target"]))
    return run is not None and made.get("run_id", run) != run


def group_of_slides(table: AnnData, slides: Sequence[Slide], layer: str) -> dict[str, str]:
    """Group that each slide was scored in: of the cross-validation, else its patient, else itself."""
    entry = recorded(table, layer)
    groups = {s.name: s.patient or s.name for s in slides}
    return groups | dict(zip(entry.get("slides", []), entry.get("groups", []), strict=True))
