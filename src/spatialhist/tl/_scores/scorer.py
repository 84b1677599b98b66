"""Score predictions of many slides against one layer of measurements, spot by spot and gene by gene."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys, metrics
from spatialhist._sdata.cohort import usable_rows
from spatialhist._sdata.counts import counts_behind, spot_depth, totaled
from spatialhist._sdata.geometry import copied_centers
from spatialhist._sdata.layers import dense_columns, recorded
from spatialhist._sdata.values import as_matrix
from spatialhist.tl._data import renamed
from spatialhist.tl._data.panel import make_targets, target_source
from spatialhist.tl._scores.gene_sets import gene_set_rows
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, DEFAULT, HEADLINE, RELIABILITY, Layout, Metric
from spatialhist.tl._scores.score_slide import ALL, ceiling_rows, score_cohort, score_slide

if TYPE_CHECKING:
    from anndata import AnnData

    from spatialhist._sdata.slide import Slide

MIN_COUNTS = 50
"""Spots of fewer counts are not scored, as ``pp.filter_spots`` marks them by default."""
MIN_SPOTS = 10
"""A correlation over fewer spots is chance (its standard error is a third at ten), and a slide counts like any other."""
CEILING = "noise_ceiling"
ENDS = (1, 99)
"""Percentiles between which pictures spread their colors: one bright spot would leave the others dark."""

COLUMNS = ["predictor", "kind", "group", "slide", "target", "metric", "value", "n"]
Record = tuple[Any, ...]
"""One value for each of the columns."""


@dataclass(frozen=True)
class Part:
    """What is scored of one prediction on one slide.

    Attributes
    ----------
    rows, columns
        Spots and genes, as positions in the table.
    predicted
        ``(rows, columns)``.
    """

    rows: np.ndarray
    columns: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Scorer:
    """What predictions are scored against.

    Attributes
    ----------
    table
        Spots and genes.
    slides
        The slides, by name.
    truth
        Layer of measurements.
    rows
        Rows of the table that are scored, per slide.
    chosen
        What to score by.
    columns
        Genes that are scored, per slide; all that are predicted where a slide is not named.
    depth
        Total counts of every spot of the table, None where they are unknown.
    gene_sets
        Genes of the sets whose means are scored.
    seed
        Of the random sets beside them.
    predicted
        Genes of the predictions that are handed in, as positions in the table; None for all of the table.
    """

    table: AnnData
    slides: dict[str, Slide]
    truth: str
    rows: dict[str, np.ndarray]
    chosen: tuple[Metric, ...] = DEFAULT
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    depth: np.ndarray | None = None
    gene_sets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 0
    predicted: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        table: AnnData,
        slides: Sequence[Slide],
        truth: str,
        *,
        min_counts: int = MIN_COUNTS,
        chosen: tuple[Metric, ...] = DEFAULT,
        depth: str | None = None,
        predicted: np.ndarray | None = None,
    ) -> Scorer:
        """Find the spots to score, and how deep they are: as a column of ``obs`` says, or by their counts.

        Raises
        ------
        KeyError
            If ``depth`` is no column.
        ValueError
            If the truth was smoothed, no measured spot is deep enough, no slide has :data:`MIN_SPOTS` of these, or ``depth``
            does not say how deep they are.

        Warns
        -----
        UserWarning
            If a slide has fewer, so that it is not scored.
        """
        if recorded(table, truth).get("smoothed"):
            raise ValueError(
                f"layer {truth!r} was smoothed, and smooth predictions look better against smoothed truth: score against the "
                "layer it was made from"
            )
        rows = _deep_rows(slides, counts_behind(table, slides, truth), min_counts)
        if not rows:
            names = [s.name for s in slides]
            raise ValueError(f"no measured spot of slides {names} has {min_counts} counts: lower min_counts")
        rows = _large_enough(rows, min_counts)
        of = spot_depth(table, [s for s in slides if s.name in rows], truth, depth)
        return cls(table, {s.name: s for s in slides}, truth, rows, chosen, depth=of, predicted=predicted)

    def on_what_all_predict(self, layers: Callable[[], Iterable[tuple[str, np.ndarray]]]) -> Scorer:
        """Score on the spots and genes that every layer predicts, on slides where it predicts any.

        Parameters
        ----------
        layers
            Gives names and predictions of all spots of the table ``(spots, genes)``, not finite where there are none; called
            twice, so that one of them is in memory at a time.

        Warns
        -----
        UserWarning
            Naming the layers that left out what others predict, and how much.
        """
        # spots first, then genes on these: a gene that is missing on a spot that is left out anyway stays
        spots = _by_slide(layers(), self.rows, lambda known: np.asarray(known.any(axis=1)))
        rows = {s: self.rows[s][np.logical_and.reduce(list(known.values()))] for s, known in spots.items()}
        genes = _by_slide(layers(), rows, lambda known: np.asarray(known.all(axis=0)))
        columns = {s: self._genes[np.logical_and.reduce(list(known.values()))] for s, known in genes.items()}
        gaps = [text for what, found in (("spots", spots), ("genes", genes)) for text in _gaps(what, found)]
        if gaps:
            warnings.warn(
                "every layer is scored on the spots and genes that all of them predict. Not predicted, although another "
                f"layer does: {'; '.join(gaps)}. To score the others on more, leave a layer out with layers=",
                stacklevel=3,
            )
        return replace(self, rows=rows, columns=columns)

    def score(
        self, values: np.ndarray, name: str, kind: str, groups: Mapping[str, str], *, same_units: bool = True
    ) -> list[Record]:
        """Score predictions of all spots of the table ``(spots, genes)``, NaN where there are none.

        Parameters
        ----------
        values
            The predictions.
        name, kind
            Of the predictor.
        groups
            Group of every slide.
        same_units
            False leaves out what depends on the units of the prediction.
        """
        name, kind = renamed.label(name, kind)
        records: list[Record] = []
        pooled: list[tuple[np.ndarray, Part]] = []
        for slide, part in self._parts(values):
            actual = self._actual(part)
            head = (name, kind, groups[slide], slide)
            records += self._records(head, part, actual, part.predicted, same_units=same_units)
            pooled.append((actual, part))
        n = sum(len(part.rows) for _, part in pooled)
        cohort_wide = [m for m in self.chosen if m.per == "cohort" and (same_units or not m.in_units)]
        return records + [(name, kind, "all", "all", ALL, m.name, _pooled(m, pooled), n) for m in cohort_wide]

    def n_scored(self, values: np.ndarray) -> int:
        """Count the spots that are scored of a prediction, times their genes."""
        return sum(part.predicted.size for _, part in self._parts(values))

    def oracles(self, values: np.ndarray, groups: Mapping[str, str], *, seed: int = 0) -> list[Record]:
        """Score what sees the truth, on the spots and genes of a prediction."""
        graph, counts = self._graph, totaled(self.table, self._every_slide, self.truth)
        records: list[Record] = []
        for slide, part in self._parts(values):
            actual, here = self._actual(part), ("oracle", groups[slide], slide)
            if counts is not None:
                depth = metrics.depth_oracle(counts[part.rows], actual)
                records += self._records(("oracle_depth", *here), part, actual, depth)
            if graph is not None:
                near = metrics.neighbor_oracle(actual, graph[part.rows][:, part.rows])
                records += self._records(("oracle_neighbors", *here), part, actual, near)
        return records + self.ceilings(values, groups, seed=seed)

    def ceilings(self, values: np.ndarray, groups: Mapping[str, str], *, seed: int = 0) -> list[Record]:
        """Noise ceiling on the spots and genes of a prediction; nothing where it is not known."""
        wanted = {HEADLINE, BEYOND_DEPTH, RELIABILITY} & {m.name for m in self.chosen}
        counts = counts_behind(self.table, self._every_slide, self.truth)
        if not wanted or self.truth != _keys.LOG1P or counts is None:
            return []
        # a table from elsewhere that does not say it is taken for counts per 10,000, the default of `pp.log_normalize`
        target_sum = recorded(self.table, self.truth).get("target_sum", 1e4)
        records: list[Record] = []
        for slide, part in self._parts(values):
            whole = dense_columns(counts, part.rows, part.columns).astype(np.int64)
            total = np.asarray(counts[part.rows].sum(axis=1)).ravel()
            rows = ceiling_rows(
                whole,
                total,
                self._names(part),
                target_sum=target_sum,
                seed=seed,
                chosen=wanted,
                depth=self._depth(part),
            )
            records += [(CEILING, "oracle", groups[slide], slide, *row) for row in rows]
        return records

    def measured_range(self, values: np.ndarray) -> dict[str, tuple[float, float]]:
        """Low and high end of what was measured of every gene, on the spots of a prediction (:data:`ENDS`)."""
        found: dict[str, list[np.ndarray]] = {}
        for _, part in self._parts(values):
            for gene, measured in zip(self._names(part), self._actual(part).T, strict=True):
                found.setdefault(gene, []).append(measured)
        return {gene: tuple(np.percentile(np.concatenate(parts), ENDS)) for gene, parts in found.items()}

    def genes(self) -> list[str]:
        """Names of the genes that are scored on any slide."""
        return list(self.table.var_names[sorted({int(c) for columns in self.columns.values() for c in columns})])

    def _parts(self, values: np.ndarray) -> Iterator[tuple[str, Part]]:
        """Slides and genes for which there are predictions."""
        for slide, rows in self.rows.items():
            genes = np.sort(self.columns.get(slide, self._genes))
            held = values[np.ix_(rows, self._place[genes])]
            known = np.isfinite(held).any(axis=1)
            mine, held = rows[known], held[known]
            scored = np.isfinite(held).all(axis=0) & self.slides[slide].genes_measured[genes]
            if len(mine) and scored.any():
                yield slide, Part(mine, genes[scored], held[:, np.flatnonzero(scored)])

    @cached_property
    def _genes(self) -> np.ndarray:
        """Genes of the predictions."""
        return np.arange(self.table.n_vars) if self.predicted is None else np.asarray(self.predicted)

    @cached_property
    def _place(self) -> np.ndarray:
        """Column of every gene of the table in the predictions, for those that are predicted."""
        place = np.zeros(self.table.n_vars, dtype=int)
        place[self._genes] = np.arange(len(self._genes))
        return place

    def _actual(self, part: Part) -> np.ndarray:
        matrix, ranking = self._source
        return make_targets(dense_columns(matrix, part.rows, part.columns), ranking)

    def _depth(self, part: Part) -> np.ndarray | None:
        return None if self.depth is None else self.depth[part.rows]

    @property
    def _every_slide(self) -> list[Slide]:
        return list(self.slides.values())

    @cached_property
    def _source(self) -> tuple[Any, dict[str, Any] | None]:
        return target_source(self.table, self.truth)

    @cached_property
    def _graph(self) -> Any:
        graph = self.table.obsp.get(_keys.CONNECTIVITIES)
        return None if graph is None else as_matrix(graph, f"obsp[{_keys.CONNECTIVITIES!r}]")

    def _names(self, part: Part) -> list[str]:
        return list(self.table.var_names[part.columns])

    def _records(
        self,
        head: tuple[str, ...],
        part: Part,
        actual: np.ndarray,
        predicted: np.ndarray,
        *,
        same_units: bool = True,
    ) -> list[Record]:
        graph = self._graph
        layout = Layout(
            copied_centers(self.table)[part.rows],
            self.slides[head[-1]].scale.pitch_px,
            None if graph is None else graph[part.rows][:, part.rows],
            self._depth(part),
        )
        names = self._names(part)
        rows = score_slide(actual, predicted, names, layout, same_units=same_units, chosen=self.chosen)
        of_sets = gene_set_rows(self.gene_sets, actual, predicted, names, depth=layout.depth, seed=self.seed)
        return [(*head, *row) for row in (*rows, *of_sets)]


def _deep_rows(slides: Sequence[Slide], counts: Any, min_counts: int) -> dict[str, np.ndarray]:
    """Measured spots with enough counts, per slide; all of them where there are no counts."""
    if counts is None:
        return usable_rows(slides)
    deep = np.asarray(counts.sum(axis=1)).ravel() >= min_counts
    rows = {s: r[deep[r]] for s, r in usable_rows(slides).items()}
    return {s: r for s, r in rows.items() if len(r)}


def _large_enough(rows: dict[str, np.ndarray], min_counts: int) -> dict[str, np.ndarray]:
    """Leave out slides on which a score would be chance."""
    small = {s: len(r) for s, r in rows.items() if len(r) < MIN_SPOTS}
    if not small:
        return rows
    told = ", ".join(f"{n} on slide {s!r}" for s, n in small.items())
    text = f"a score needs {MIN_SPOTS} measured spots of {min_counts} counts; there are {told}"
    if len(small) == len(rows):
        raise ValueError(f"{text}: lower min_counts=, or measure more spots")
    warnings.warn(f"{text}: not scored", stacklevel=4)
    return {s: r for s, r in rows.items() if s not in small}


def _by_slide(
    layers: Iterable[tuple[str, np.ndarray]], rows: Mapping[str, np.ndarray], reduce: Callable[[np.ndarray], np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Per slide and layer what is predicted, of layers that predict anything there."""
    found: dict[str, dict[str, np.ndarray]] = {slide: {} for slide in rows}
    for name, values in layers:
        for slide, mine in rows.items():
            known = np.isfinite(values[mine])
            if known.any():
                found[slide][name] = reduce(known)
    return {slide: known for slide, known in found.items() if known}


def _gaps(what: str, found: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[str]:
    """Which layers lack what others have on a slide."""
    for slide, known in found.items():
        anywhere = np.logical_or.reduce(list(known.values()))
        for name, own in known.items():
            if lacking := int((anywhere & ~own).sum()):
                yield f"{lacking} of {anywhere.sum()} {what} of slide {slide!r} in {name!r}"


def _pooled(metric: Metric, parts: list[tuple[np.ndarray, Part]]) -> float:
    """Score all slides together, for the genes that all of them predict; it mixes slide differences in."""
    if not parts:
        return float("nan")
    shared = set.intersection(*(set(p.columns) for _, p in parts))
    if not shared:
        return float("nan")
    truth = np.concatenate([t[:, np.isin(p.columns, list(shared))] for t, p in parts])
    predicted = np.concatenate([p.predicted[:, np.isin(p.columns, list(shared))] for _, p in parts])
    return score_cohort(metric, truth, predicted)
