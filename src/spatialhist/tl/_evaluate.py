"""Score layers of predictions against a layer of measurements. Predictors write layers, this scores them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys, metrics
from spatialhist._sdata.geometry import scale
from spatialhist._sdata.layers import get_layer, recorded
from spatialhist._sdata.slides import Cohort, open_cohort
from spatialhist.tl._gather import usable_rows
from spatialhist.tl._panel import dense_columns, make_targets, target_source
from spatialhist.tl._score_slide import ALL, ceiling_rows, score_slide

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

COLUMNS = ["predictor", "kind", "group", "slide", "target", "metric", "value", "n"]
MIN_COUNTS = 50
CEILING = "noise_ceiling"


def evaluate(
    sdata: SpatialData,
    *,
    truth: str = _keys.LOG1P,
    layers: Sequence[str] | None = None,
    slides: str | Sequence[str] | None = None,
    min_counts: int = MIN_COUNTS,
    oracles: bool = True,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> pd.DataFrame:
    """Score predictions within slides, gene by gene.

    The headline is ``pearson``: within a slide, per gene, over spots. :func:`summarize` averages it over genes, slides
    and groups. A constant prediction counts 0; a gene that is constant in the truth is left out (value NaN).

    Parameters
    ----------
    sdata
        Object with measured slides and layers of predictions.
    truth
        Layer of measurements. Ranks are taken again within the genes that were predicted.
    layers
        Layers of predictions; None for everything :func:`cross_validate` and :func:`stack` wrote for this truth.
    slides
        None for all that were measured.
    min_counts
        Spots of fewer counts are not scored; ignored where ``X`` holds no counts.
    oracles
        Add what sees the scored slide's own truth: ``oracle_depth``, ``oracle_neighbors`` (needs
        :func:`spatialhist.pp.spot_distances`) and the ``noise_ceiling``. They are for scale, not to be beaten.
    seed
        For the noise ceiling.
    table_key
        Name of the table.

    Returns
    -------
    Table with the columns predictor, kind (``model``, ``stack``, ``null``, ``oracle``), group, slide, target (``""``
    for scores over all targets), metric, value, n (spots).

    Raises
    ------
    KeyError
        If a layer is missing, or there is none to score.
    ValueError
        If the truth was smoothed, a layer predicts something else, or no measured spot is left.

    Notes
    -----
    Spots, genes and slides without a prediction (NaN) are not scored, nor are genes that a slide did not measure.
    ``rank_mean`` stacks predict ranks: they get no score that depends on units (RMSE, R2, variance ratio).
    """
    cohort = open_cohort(sdata, slides, table_key=table_key)
    if recorded(cohort.table, truth).get("smoothed"):
        raise ValueError(
            f"layer {truth!r} was smoothed, and smoothed truth flatters whatever is smooth: score against the layer "
            "it was made from"
        )
    chosen = _layers(cohort, truth, layers)
    rows = _scored_rows(cohort, min_counts)
    if not rows:
        raise ValueError(f"no measured spot of slides {cohort.slides} has {min_counts} counts: lower min_counts")
    source = target_source(cohort, truth)
    records: list[tuple[Any, ...]] = []
    for layer in chosen:
        records += _score_layer(cohort, layer, source, rows)
    if oracles:
        records += _score_oracles(cohort, chosen[0], truth, source, rows, seed)
    scores = pd.DataFrame(records, columns=COLUMNS)
    logger.info("evaluate: %d scores of %d layers on %d slides", len(scores), len(chosen), len(rows))
    return scores


def _layers(cohort: Cohort, truth: str, layers: Sequence[str] | None) -> list[str]:
    """Layers to score, checked against what they say they predict."""
    table = cohort.table
    target = {k: _measured_target(cohort, k) for k in table.layers}
    if layers is None:
        found = [k for k, t in target.items() if t == truth and recorded(table, k).get("step") != "predict"]
        if not found:
            raise KeyError(
                f"no layer predicts {truth!r}; found {list(table.layers)}: run sh.tl.cross_validate(sdata, "
                f"layer={truth!r}), or name layers="
            )
        by_predictor: dict[str, str] = {}
        for name in found:  # a single model's predictions are in "oof" too
            by_predictor.setdefault(recorded(table, name).get("predictor", name), name)
        return list(by_predictor.values())
    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        get_layer(table, name)
        if target[name] not in (None, truth):
            raise ValueError(f"layer {name!r} predicts {target[name]!r}, not {truth!r}: pass truth={target[name]!r}")
    return names


def _measured_target(cohort: Cohort, layer: str) -> str | None:
    """What a layer says it predicts; for a smoothed target the layer that was smoothed."""
    target = recorded(cohort.table, layer).get("target")
    made = recorded(cohort.table, target) if target else {}
    return made["layer"] if made.get("smoothed") else target


def _scored_rows(cohort: Cohort, min_counts: int) -> dict[str, np.ndarray]:
    """Measured spots with enough counts, per slide."""
    if not _holds_counts(cohort.table.X):
        return usable_rows(cohort)
    deep = np.asarray(cohort.table.X.sum(axis=1)).ravel() >= min_counts
    rows = {s: r[deep[r]] for s, r in usable_rows(cohort).items()}
    return {s: r for s, r in rows.items() if len(r)}


def _holds_counts(matrix: Any) -> bool:
    """Whether the first stored values are whole numbers."""
    values = matrix.data[:10_000] if hasattr(matrix, "indptr") else np.asarray(matrix[:100]).ravel()
    return bool(len(values)) and bool(np.all(values == np.rint(values)))


@dataclass(frozen=True)
class _Part:
    """What is scored of one layer on one slide."""

    rows: np.ndarray
    columns: np.ndarray
    predicted: np.ndarray


def _parts(cohort: Cohort, layer: str, rows: dict[str, np.ndarray]) -> Iterator[tuple[str, _Part]]:
    """Slides and genes for which a layer holds predictions."""
    values = get_layer(cohort.table, layer)
    for slide, mine in rows.items():
        held = values[mine]
        mine = mine[~np.isnan(held).all(axis=1)]
        if not len(mine):
            continue
        held = values[mine]
        columns = np.flatnonzero(~np.isnan(held).any(axis=0) & cohort.genes_measured(slide))
        if len(columns):
            yield slide, _Part(mine, columns, held[:, columns])


def _score_layer(
    cohort: Cohort, layer: str, source: tuple[Any, Any], rows: dict[str, np.ndarray]
) -> list[tuple[Any, ...]]:
    entry = recorded(cohort.table, layer)
    name, kind = entry.get("predictor", layer), entry.get("kind", "model")
    groups = group_of_slides(cohort, layer)
    records: list[tuple[Any, ...]] = []
    pooled: list[tuple[np.ndarray, _Part]] = []
    for slide, part in _parts(cohort, layer, rows):
        actual = make_targets(dense_columns(source[0], part.rows, part.columns), source[1])
        head = (name, kind, groups[slide], slide)
        records += _records(cohort, head, part, actual, part.predicted, same_units="space" not in entry)
        pooled.append((actual, part))
    value = _pooled(pooled)
    records.append((name, kind, "all", "all", ALL, "pooled_pearson", value, sum(len(p.rows) for _, p in pooled)))
    return records


def _records(
    cohort: Cohort,
    head: tuple[str, ...],
    part: _Part,
    actual: np.ndarray,
    predicted: np.ndarray,
    *,
    same_units: bool = True,
) -> list[tuple[Any, ...]]:
    graph = cohort.table.obsp.get(_keys.CONNECTIVITIES)
    rows = score_slide(
        actual,
        predicted,
        list(cohort.table.var_names[part.columns]),
        xy=cohort.table.obsm[_keys.SPATIAL][part.rows],
        pitch=scale(cohort.sdata, head[-1]).pitch_px,
        connectivities=None if graph is None else graph[part.rows][:, part.rows],
        same_units=same_units,
    )
    return [(*head, *row) for row in rows]


def _pooled(parts: list[tuple[np.ndarray, _Part]]) -> float:
    """Pearson over all slides together, for the genes that all of them predict; it mixes slide differences in."""
    if not parts:
        return float("nan")
    shared = set.intersection(*(set(p.columns) for _, p in parts))
    if not shared:
        return float("nan")
    truth = np.concatenate([t[:, np.isin(p.columns, list(shared))] for t, p in parts])
    predicted = np.concatenate([p.predicted[:, np.isin(p.columns, list(shared))] for _, p in parts])
    value = np.asarray(metrics.pooled_pearson(truth, predicted))
    return float(np.nanmean(value)) if np.isfinite(value).any() else float("nan")


def group_of_slides(cohort: Cohort, layer: str) -> dict[str, str]:
    """Group that each slide was scored in: of the cross-validation, else its patient, else itself."""
    entry = recorded(cohort.table, layer)
    groups = {s: cohort.patient(s) or s for s in cohort.slides}
    return groups | dict(zip(entry.get("slides", []), entry.get("groups", []), strict=True))


def _score_oracles(
    cohort: Cohort, layer: str, truth: str, source: tuple[Any, Any], rows: dict[str, np.ndarray], seed: int
) -> list[tuple[Any, ...]]:
    """Score what sees the truth, on the genes of the first layer."""
    groups = group_of_slides(cohort, layer)
    graph = cohort.table.obsp.get(_keys.CONNECTIVITIES)
    counts = cohort.table.X
    records: list[tuple[Any, ...]] = []
    for slide, part in _parts(cohort, layer, rows):
        actual = make_targets(dense_columns(source[0], part.rows, part.columns), source[1])
        here = (groups[slide], slide)
        names = list(cohort.table.var_names[part.columns])
        depth = metrics.depth_oracle(counts[part.rows], actual)
        records += _records(cohort, ("oracle_depth", "oracle", *here), part, actual, depth)
        if graph is not None:
            near = metrics.neighbor_oracle(actual, graph[part.rows][:, part.rows])
            records += _records(cohort, ("oracle_neighbors", "oracle", *here), part, actual, near)
        if truth == _keys.LOG1P and _holds_counts(counts):
            whole = dense_columns(counts, part.rows, part.columns).astype(np.int64)
            total = np.asarray(counts[part.rows].sum(axis=1)).ravel()
            depth_target = recorded(cohort.table, truth).get("target_sum", 1e4)
            rows_ = ceiling_rows(whole, total, names, target_sum=depth_target, seed=seed)
            records += [(CEILING, "oracle", *here, *row) for row in rows_]
    return records
