"""Scores of a linear fit on spots that were left out, without predicting them one by one. Pure arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr

from spatialhist.metrics import pearson
from spatialhist.metrics._correlation import ROUNDING, center

MIN_SPOTS_SCORED = 5
"""Of a slide: a correlation over fewer spots says nothing."""


@dataclass(frozen=True)
class HeldSlide:
    """A slide that was left out, turned into as few rows as it has features: a correlation knows inner products alone.

    Attributes
    ----------
    n
        Spots.
    design, truth
        Features ``(rows, features)`` and targets ``(rows, genes)``, both centered, then rotated.
    norm
        Of all the targets of each gene.
    varies
        Genes that can be scored.
    first
        Features of the first spot, which tell what rounding a prediction may have.
    """

    n: int
    design: np.ndarray
    truth: np.ndarray
    norm: np.ndarray
    varies: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, design: np.ndarray, truth: np.ndarray) -> HeldSlide:
        """Of features ``(n, features)``, which are overwritten, and targets ``(n, genes)``."""
        truth, squares, constant = center(truth)
        first = design[0].copy()
        # in place: the features of a slide are the largest array here
        design -= first
        design -= design.mean(axis=0)
        slide = cls(len(truth), design, truth, np.sqrt(squares), ~constant, first)
        return slide._rotated() if slide.n > design.shape[1] else slide

    def through(self, weights: np.ndarray) -> HeldSlide:
        """The same with features ``(features, fewer)`` in place of its own; see :meth:`leading`."""
        return replace(self, design=self.design @ weights, first=self.first @ weights)._rotated()

    def leading(self, k: int) -> HeldSlide:
        """The same with the first ``k`` features only; rotated, these lie in the first ``k`` rows."""
        return replace(self, design=self.design[:k, :k], truth=self.truth[:k], first=self.first[:k])

    def score(self, weights: np.ndarray) -> float:
        """Mean Pearson of predictions by weights ``(features, genes)``, as :func:`within_slide_score` takes it."""
        found = self.correlations(weights)
        return float(found[self.varies].mean()) if self.varies.any() else 0.0

    def correlations(self, weights: np.ndarray) -> np.ndarray:
        """Pearson of predictions by weights ``(features, genes)`` of each gene, 0 where there is none."""
        product, squares = self.regression(weights)
        rounding = ROUNDING * np.finfo(np.float64).eps * (self.first @ weights)
        scored = self.varies & (squares > self.n * rounding**2)
        scale = self.norm * np.sqrt(squares)
        return np.clip(np.divide(product, scale, out=np.zeros_like(product), where=scored), -1, 1)

    def regression(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of products of predictions with targets, and with themselves, of each gene: the former by the latter is a slope."""
        predicted = self.design @ weights
        return np.einsum("ij,ij->j", predicted, self.truth), np.einsum("ij,ij->j", predicted, predicted)

    def _rotated(self) -> HeldSlide:
        q, triangle = qr(self.design, mode="economic", overwrite_a=True, check_finite=False)
        return replace(self, design=triangle, truth=q.T @ self.truth)


def held_slides(design: np.ndarray, truth: np.ndarray, slide: np.ndarray) -> list[HeldSlide]:
    """Those slides that can be scored, of features ``(n, features)`` and targets ``(n, genes)``."""
    return [HeldSlide.of(design[rows], truth[rows]) for rows in _scored_slides(slide)]


def mean_score(slides: list[HeldSlide], weights: np.ndarray) -> float:
    """Average of the slides' scores; 0 without any."""
    return float(np.mean([s.score(weights) for s in slides])) if slides else 0.0


def within_slide_score(truth: np.ndarray, predicted: np.ndarray, slide: np.ndarray) -> float:
    """Within-slide Pearson, gene -> slide; slides of a handful of spots say nothing."""
    each = []
    for rows in _scored_slides(slide):
        score = pearson(truth[rows], predicted[rows])
        each.append(np.nanmean(score) if np.isfinite(score).any() else 0.0)
    return float(np.mean(each)) if each else 0.0


def _scored_slides(slide: np.ndarray) -> Iterator[np.ndarray]:
    for name in np.unique(slide):
        rows = slide == name
        if rows.sum() >= MIN_SPOTS_SCORED:
            yield rows
