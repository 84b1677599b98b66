"""A strength and a slope for each leading component of the targets, chosen on inner groups. Pure arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialhist.tl._predictors.held_out import held_slides
from spatialhist.tl._predictors.ridge_solver import STRENGTHS, Design, GroupSums, Sums

MIN_INNER_GROUPS = 3
"""Fewer groups to leave out agree too often by chance for so many choices."""
STEEPEST = 1.5
"""Of a slope: a component that is predicted too flat is steepened by no more than this."""


@dataclass(frozen=True)
class ByComponent:
    """What the inner groups chose for the leading principal components of the targets, which are at unit variance.

    Components that differ in how well an image tells them differ in the strength they need, and what was predicted is as much
    too steep as a regression of held-out measurements on it says (curds and whey, Breiman and Friedman 1997, with the
    components of the targets in place of canonical ones).

    Attributes
    ----------
    strengths
        Of the ridge, one a component.
    slopes
        What a component's prediction is multiplied by, 0 for one that is not predicted.
    score
        Within-slide Pearson of the components on the inner groups, on average.
    """

    strengths: tuple[float, ...]
    slopes: tuple[float, ...]
    score: float

    def solve(self, sums: Sums) -> np.ndarray:
        """Ridge coefficients ``(features, genes)``; components beyond those that were chosen for are dropped."""
        components = sums.components(len(self.strengths))
        kept = components.left.shape[1]
        values, vectors = np.linalg.eigh(sums.gram)
        factors = sums.shrinkage(values, np.array(self.strengths[:kept])) * self.slopes[:kept]
        return vectors @ (vectors.T @ (sums.cross @ components.left) * factors) @ components.right

    def chosen(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {"strengths": list(self.strengths), "slopes": list(self.slopes), "inner_score": self.score}


@dataclass(frozen=True)
class Agreement:
    """How predictions of one inner group agree with its measurements, summed over its slides.

    Attributes
    ----------
    score
        Within-slide Pearson ``(strengths, components)``, averaged over the slides.
    product, square
        Predictions with measurements, and with themselves ``(strengths, components)``.
    """

    score: np.ndarray
    product: np.ndarray
    square: np.ndarray


def choose_by_component(
    design: Design,
    sums: GroupSums,
    targets: np.ndarray,
    slide: np.ndarray,
    inner: np.ndarray,
    n_components: int,
    *,
    strengths: tuple[float, ...] = STRENGTHS,
) -> ByComponent | None:
    """Choose by leaving inner groups out; None where too few of them can be scored.

    Parameters are those of :func:`choose`. Components are found without the group that is left out, so they are the same ones
    by their order only.
    """
    if len(sums.names) < MIN_INNER_GROUPS:
        return None
    n_components = min(n_components, targets.shape[1])
    parts = sums.leaving_out(design, inner)
    each = [_agreement(rest, x, targets[held], slide[held], n_components, strengths) for held, x, rest in parts]
    scored = [agreement for agreement in each if agreement is not None]
    if len(scored) < MIN_INNER_GROUPS:
        return None
    return _choice(scored, strengths)


def _choice(each: list[Agreement], strengths: tuple[float, ...]) -> ByComponent:
    """Best strength of every component, by scores in which groups count alike, and the slope over all their spots."""
    score = np.mean([a.score for a in each], axis=0)
    best = np.argmax(score, axis=0)
    at = best, np.arange(len(best))
    product, square = (np.sum([getattr(a, of)[at] for a in each], axis=0) for of in ("product", "square"))
    slopes = np.clip(np.divide(product, square, out=np.zeros_like(product), where=square > 0), 0, STEEPEST)
    return ByComponent(tuple(strengths[i] for i in best), tuple(slopes.tolist()), float(score[at].mean()))


def _agreement(
    others: Sums,
    design: np.ndarray,
    targets: np.ndarray,
    slide: np.ndarray,
    n_components: int,
    strengths: tuple[float, ...],
) -> Agreement | None:
    """Agreement on one inner group, None if no slide can be scored; one decomposition of each side serves all strengths."""
    components = others.components(n_components)
    values, vectors = np.linalg.eigh(others.gram)
    reduced = vectors.T @ (others.cross @ components.left)
    slides = held_slides(design @ vectors, targets @ components.left, slide)
    if not slides:
        return None
    found = np.zeros((3, len(strengths), n_components))
    # fewer spots span fewer components; what is predicted of the others is nothing
    filled = found[:, :, : reduced.shape[1]]
    for i, strength in enumerate(strengths):
        weights = reduced * others.shrinkage(values, strength)
        for held in slides:
            filled[0, i] += held.correlations(weights) / len(slides)
            filled[1:, i] += held.regression(weights)
    return Agreement(*found)
