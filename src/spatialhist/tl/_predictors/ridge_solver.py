"""Ridge regression of many genes at once; strength and rank are chosen on inner groups. Pure arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialhist.tl._data.samples import row_parts
from spatialhist.tl._predictors.components import Components, is_whole, leading_components
from spatialhist.tl._predictors.held_out import held_slides, mean_score

STRENGTHS = tuple(10.0**p for p in np.arange(-1, 6.5, 0.5))
"""Regularization strengths, per 1,000 spots, half a power of ten apart."""
RANKS = (8, 4, 16, 32, 0)
"""Ranks of the targets in the order of preference: of those that score alike the first is taken; 0 keeps all."""
FALLBACK = 1e3
"""Strength where there is nothing to choose on; the rank is then the first candidate."""


def center_by_slide(targets: np.ndarray, slide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove each slide's mean; depth and batch move whole slides, an image cannot tell by how much.

    Returns
    -------
    tuple[ndarray, ndarray]
        Centered targets, and the mean over the slides' means.
    """
    centered = np.empty_like(targets)
    means = []
    for name in np.unique(slide):
        rows = slide == name
        means.append(targets[rows].mean(axis=0))
        centered[rows] = targets[rows] - means[-1]
    return centered, np.mean(means, axis=0)


@dataclass(frozen=True)
class Design:
    """What a ridge regresses on, made from points when it is needed: for a kernel it may be far larger than these.

    Attributes
    ----------
    points
        ``(n, d)`` float64.
    lift
        Takes some of them to ``(m, features)``.
    """

    points: np.ndarray
    lift: Callable[[np.ndarray], np.ndarray] = np.array

    def rows(self, rows: slice | np.ndarray) -> np.ndarray:
        """Features ``(m, features)`` of some spots; a new array."""
        return self.lift(self.points[rows])


@dataclass(frozen=True)
class Sums:
    """All that a ridge has to know of its spots, however many they are.

    Attributes
    ----------
    n
        Spots.
    gram
        ``(features, features)``, relative to a level.
    cross
        Features with targets ``(features, genes)``.
    targets
        Targets with targets ``(genes, genes)``; of fewer spots than genes the targets themselves ``(n, genes)``.
    """

    n: int
    gram: np.ndarray
    cross: np.ndarray
    targets: np.ndarray

    def solve(self, strength: float, rank: int = 0) -> np.ndarray:
        """Ridge coefficients ``(features, genes)``; strength is per spot, so that it means the same for any cohort."""
        ridge = self.ridge(strength) * np.eye(len(self.gram))
        weights = np.linalg.solve(self.gram + ridge, self.cross)
        if is_whole(rank, weights.shape[1]):
            return weights
        components = self.components(rank)
        return weights @ components.left @ components.right

    def ridge(self, strength: float | np.ndarray) -> float | np.ndarray:
        """What is added to the Gram matrix, which grows with the spots; strengths are those for 1,000 of them."""
        return strength * self.n / 1e3

    def shrinkage(self, values: np.ndarray, strength: float | np.ndarray) -> np.ndarray:
        """Factors ``(features, strengths)`` of a ridge, by eigenvalues of the Gram matrix."""
        # there are no negative ones but by rounding
        return 1 / (np.maximum(values, 0)[:, None] + self.ridge(strength))

    def components(self, rank: int) -> Components:
        """Leading components of the targets."""
        return leading_components(self.targets, self.n, rank)


@dataclass(frozen=True)
class GroupSums:
    """Sums over all spots; what is of labels is kept by inner group, so that of a group left out nothing is ever added.

    Attributes
    ----------
    names
        Inner groups.
    n
        Spots.
    level
        Mean of the features, which they are taken relative to.
    gram
        ``(features, features)``.
    cross
        Features with targets ``(groups, features, genes)``.
    targets
        Of each group, as in :class:`Sums`.
    """

    names: np.ndarray
    n: int
    level: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    targets: list[np.ndarray]

    @classmethod
    def of(cls, design: Design, targets: np.ndarray, inner: np.ndarray) -> GroupSums:
        """Add up all spots, part by part; targets ``(n, genes)`` are centered by slide, and groups are of whole slides."""
        names, (n, n_genes) = np.unique(inner), targets.shape
        n_features = design.rows(slice(1)).shape[1]
        total, gram = np.zeros(n_features), np.zeros((n_features, n_features))
        cross = np.zeros((len(names), n_features, n_genes))
        among = [np.zeros((0 if n < n_genes else n_genes, n_genes)) for _ in names]
        for i, name in enumerate(names):
            held = np.flatnonzero(inner == name)
            for part in row_parts(len(held)):
                x, y = design.rows(held[part]), targets[held[part]]
                total += x.sum(axis=0)
                gram += x.T @ x
                cross[i] += x.T @ y
                among[i] = np.concatenate([among[i], y]) if n < n_genes else among[i] + y.T @ y
        level = total / n
        # the targets of a group sum to zero, so its cross products do not depend on the level
        return cls(names, n, level, gram - n * np.outer(level, level), cross, among)

    def all(self) -> Sums:
        """Of all spots."""
        return self._sums(self.n, self.gram, range(len(self.names)))

    def leaving_out(self, design: Design, inner: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, Sums]]:
        """One group after the other: its spots, their features ``(m, features)`` relative to the level, the sums of all others."""
        for name in self.names:
            held = np.flatnonzero(inner == name)
            x = design.rows(held) - self.level
            yield held, x, self.without(name, x)

    def without(self, name: Any, design: np.ndarray) -> Sums:
        """Of all groups but one, whose features ``(m, features)`` are relative to the level."""
        others = np.flatnonzero(self.names != name)
        return self._sums(self.n - len(design), self.gram - design.T @ design, others)

    def _sums(self, n: int, gram: np.ndarray, groups: Iterable[int]) -> Sums:
        cross, targets = ([of[i] for i in groups] for of in (self.cross, self.targets))
        fewer_spots = self.n < self.cross.shape[2]
        together = np.concatenate(targets) if fewer_spots else sum(targets[1:], targets[0])
        return Sums(n, gram, sum(cross[1:], cross[0]), together)


@dataclass(frozen=True)
class Choice:
    """What the inner groups chose.

    Attributes
    ----------
    strength
        Of the ridge.
    rank
        Principal components of the targets that are kept, 0 for all: genes share what little signal there is.
    score
        Within-slide Pearson on the inner groups, NaN where there was nothing to choose on.
    """

    strength: float
    rank: int
    score: float


def choose(
    design: Design,
    sums: GroupSums,
    targets: np.ndarray,
    slide: np.ndarray,
    inner: np.ndarray,
    *,
    strengths: tuple[float, ...] = STRENGTHS,
    ranks: tuple[int, ...] = RANKS,
) -> Choice:
    """Choose strength and rank by leaving inner groups out.

    Of all candidates whose score is within one standard error of the best, the one nearest to the fallback is taken
    (Breiman et al. 1984, section 3.4.3): with few inner groups the very best of so many candidates is luck.

    Parameters
    ----------
    design
        Of all spots.
    sums
        Of all spots.
    targets
        ``(n, genes)``, centered by slide.
    slide
        Scores are taken within slides.
    inner
        Inner group of every spot; with a single one, or without slides that can be scored, nothing is chosen.
    strengths, ranks
        Candidates.
    """
    if len(sums.names) < 2:
        return Choice(FALLBACK, ranks[0], float("nan"))
    parts = sums.leaving_out(design, inner)
    scores = np.stack(
        [_held_out_scores(rest, x, targets[held], slide[held], strengths, ranks) for held, x, rest in parts]
    )
    # 0 throughout: no slide had spots enough to be scored, or nothing was predicted
    if not scores.any():
        return Choice(FALLBACK, ranks[0], float("nan"))
    i, j = _nearest_of_the_good(scores, strengths)
    return Choice(strengths[i], ranks[j], float(scores[:, i, j].mean()))


def _nearest_of_the_good(scores: np.ndarray, strengths: tuple[float, ...]) -> tuple[int, int]:
    """Positions of strength and rank; earlier ranks come first, then strengths near the fallback.

    Parameters
    ----------
    scores
        ``(groups, strengths, ranks)``.
    strengths
        Candidates.
    """
    mean = scores.mean(axis=0)
    best = np.unravel_index(np.argmax(mean), mean.shape)
    # differences within a group: how hard a group is to predict is common to all candidates
    behind = scores[:, best[0], best[1]][:, None, None] - scores
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(scores))
    strength, rank = np.nonzero(behind.mean(axis=0) <= error)
    distance = np.abs(np.log10(np.array(strengths)[strength] / FALLBACK))
    # first by rank in the order of preference, then by distance from the fallback
    first = np.lexsort((distance, rank))[0]
    return int(strength[first]), int(rank[first])


def _held_out_scores(
    others: Sums,
    design: np.ndarray,
    targets: np.ndarray,
    slide: np.ndarray,
    strengths: tuple[float, ...],
    ranks: tuple[int, ...],
) -> np.ndarray:
    """Scores ``(strengths, ranks)`` on one inner group; one decomposition of each side serves them all."""
    values, vectors = np.linalg.eigh(others.gram)
    projected, slides = vectors.T @ others.cross, held_slides(design @ vectors, targets, slide)
    whole = np.array([is_whole(rank, targets.shape[1]) for rank in ranks])
    components = others.components(max(np.array(ranks)[~whole], default=1))
    reduced = projected @ components.left
    scores = np.empty((len(strengths), len(ranks)))
    for i, strength in enumerate(strengths):
        shrink = others.shrinkage(values, strength)
        if whole.any():
            scores[i, whole] = mean_score(slides, projected * shrink)
        seen = [s.through(reduced * shrink) for s in slides]
        for j in np.flatnonzero(~whole):
            scores[i, j] = mean_score([s.leading(ranks[j]) for s in seen], components.right[: ranks[j]])
    return scores


def target_projection(targets: np.ndarray, rank: int) -> np.ndarray | None:
    """Matrix ``(genes, genes)`` that keeps the leading components of centered targets ``(n, genes)``; None if these are all."""
    among, n = targets.T @ targets, len(targets)
    if is_whole(rank, len(among)):
        return None
    deviation = np.maximum(np.sqrt(np.maximum(np.diag(among), 0) / n), 1e-8)
    leading = np.linalg.eigh(among / np.outer(deviation, deviation))[1][:, -rank:]
    return (leading / deviation[:, None]) @ (leading * deviation[:, None]).T
