"""Ridge regression of many genes at once; strength and rank are chosen on inner groups. Pure arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialhist.metrics import pearson

STRENGTHS = tuple(10.0**p for p in np.arange(-1, 6.5, 0.5))
RANKS = (8, 4, 16, 32, 0)
FALLBACK = 1e3
"""Strength where there is nothing to choose on; the rank is then the first candidate."""
MIN_SPOTS_SCORED = 5


def center_by_slide(targets: np.ndarray, slide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove each slide's mean; depth and batch move whole slides, an image cannot tell by how much.

    Returns
    -------
    Centred targets, and the mean over the slides' means.
    """
    centered = np.empty_like(targets)
    means = []
    for name in np.unique(slide):
        rows = slide == name
        means.append(targets[rows].mean(axis=0))
        centered[rows] = targets[rows] - means[-1]
    return centered, np.mean(means, axis=0)


def solve(design: np.ndarray, targets: np.ndarray, strength: float) -> np.ndarray:
    """Ridge coefficients ``(features, genes)``; strength is per spot, so that it means the same for any cohort."""
    gram = design.T @ design + strength * len(design) / 1e3 * np.eye(design.shape[1], dtype=design.dtype)
    return np.linalg.solve(gram, design.T @ targets)


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
    design: np.ndarray,
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
        ``(n, features)``.
    targets
        ``(n, genes)``, centred by slide.
    slide
        Scores are taken within slides.
    inner
        Inner group of every spot; with a single one, or without slides that can be scored, nothing is chosen.
    strengths, ranks
        Candidates.
    """
    names = np.unique(inner)
    if len(names) < 2:
        return Choice(FALLBACK, ranks[0], float("nan"))
    each = []
    for name in names:
        held = inner == name
        each.append(
            _held_out_scores(design[~held], targets[~held], design[held], targets[held], slide[held], strengths, ranks)
        )
    scores = np.stack(each)
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
    behind = scores[:, best[0], best[1]][:, None, None] - scores
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(scores))
    strength, rank = np.nonzero(behind.mean(axis=0) <= error)
    distance = np.abs(np.log10(np.array(strengths)[strength] / FALLBACK))
    first = np.lexsort((distance, rank))[0]
    return int(strength[first]), int(rank[first])


def _held_out_scores(
    design: np.ndarray,
    targets: np.ndarray,
    held_design: np.ndarray,
    held_targets: np.ndarray,
    held_slide: np.ndarray,
    strengths: tuple[float, ...],
    ranks: tuple[int, ...],
) -> np.ndarray:
    """Scores ``(strengths, ranks)`` on one inner group; one decomposition of each side serves them all."""
    values, vectors = np.linalg.eigh(design.T @ design)
    projected = vectors.T @ (design.T @ targets)
    held = held_design @ vectors
    projections = [target_projection(targets, rank) for rank in ranks]
    scores = np.empty((len(strengths), len(ranks)))
    for i, strength in enumerate(strengths):
        predicted = held @ (projected / (np.maximum(values, 0) + strength * len(design) / 1e3)[:, None])
        for j, projection in enumerate(projections):
            shown = predicted if projection is None else predicted @ projection
            scores[i, j] = within_slide_score(held_targets, shown, held_slide)
    return scores


def target_projection(targets: np.ndarray, rank: int) -> np.ndarray | None:
    """Matrix ``(genes, genes)`` that keeps the leading components of targets at unit variance; None for rank 0.

    Ridge is linear in its targets, so projecting its predictions equals fitting the components (reduced-rank ridge
    regression, Mukherjee and Zhu 2011, with the components of the targets in place of those of the fit).
    """
    if rank == 0 or rank >= targets.shape[1]:
        return None
    deviation = np.maximum(targets.std(axis=0), 1e-8)
    scaled = targets / deviation
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    leading = vectors[:, -rank:]
    return (leading / deviation[:, None]) @ (leading * deviation[:, None]).T


def within_slide_score(truth: np.ndarray, predicted: np.ndarray, slide: np.ndarray) -> float:
    """Within-slide Pearson, gene -> slide; slides of a handful of spots say nothing."""
    each = []
    for name in np.unique(slide):
        rows = slide == name
        if rows.sum() >= MIN_SPOTS_SCORED:
            score = pearson(truth[rows], predicted[rows])
            each.append(np.nanmean(score) if np.isfinite(score).any() else 0.0)
    return float(np.mean(each)) if each else 0.0
