"""Ridge regression of many genes at once, its strength chosen on inner groups. Pure arrays."""

from __future__ import annotations

import numpy as np

from spatialhist.metrics import pearson

STRENGTHS = tuple(10.0**p for p in np.arange(-1, 6.5, 0.5))
FALLBACK = 1e3
"""Strength where a single slide leaves nothing to choose it on."""
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


def choose_strength(
    design: np.ndarray,
    targets: np.ndarray,
    slide: np.ndarray,
    inner: np.ndarray,
    strengths: tuple[float, ...] = STRENGTHS,
) -> tuple[float, float]:
    """Choose the strength by leaving inner groups out.

    Parameters
    ----------
    design
        ``(n, features)``.
    targets
        ``(n, genes)``, centred by slide.
    slide
        Scores are taken within slides.
    inner
        Inner group of every spot; with a single one there is nothing to choose on.
    strengths
        Candidates.

    Returns
    -------
    The strength and its score: within-slide Pearson, averaged over genes and slides. NaN where nothing was left out.
    """
    names = np.unique(inner)
    if len(names) < 2:
        return FALLBACK, float("nan")
    scores = np.zeros(len(strengths))
    for name in names:
        held = inner == name
        scores += _held_out_scores(design[~held], targets[~held], design[held], targets[held], slide[held], strengths)
    best = int(np.argmax(scores))
    return strengths[best], float(scores[best] / len(names))


def _held_out_scores(
    design: np.ndarray,
    targets: np.ndarray,
    held_design: np.ndarray,
    held_targets: np.ndarray,
    held_slide: np.ndarray,
    strengths: tuple[float, ...],
) -> np.ndarray:
    """Score of every strength on one inner group; one eigendecomposition serves them all."""
    values, vectors = np.linalg.eigh(design.T @ design)
    projected = vectors.T @ (design.T @ targets)
    held = held_design @ vectors
    scores = []
    for strength in strengths:
        shrunk = projected / (np.maximum(values, 0) + strength * len(design) / 1e3)[:, None]
        scores.append(within_slide_score(held_targets, held @ shrunk, held_slide))
    return np.asarray(scores)


def within_slide_score(truth: np.ndarray, predicted: np.ndarray, slide: np.ndarray) -> float:
    """Within-slide Pearson, gene -> slide; slides of a handful of spots say nothing."""
    each = []
    for name in np.unique(slide):
        rows = slide == name
        if rows.sum() >= MIN_SPOTS_SCORED:
            score = pearson(truth[rows], predicted[rows])
            each.append(np.nanmean(score) if np.isfinite(score).any() else 0.0)
    return float(np.mean(each)) if each else 0.0
