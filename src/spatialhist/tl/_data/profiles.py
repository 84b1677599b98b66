"""Recognize a section by its counts after they were thinned, scaled or cropped: noise is shared by copies alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialhist.tl._data.similarity import agree
from spatialhist.tl._data.unit_rows import unit_rows

GENES = 1000
"""Genes of highest counts that profiles are compared by."""
SPOTS = 2048
"""Spots of highest counts of a slide: thinning and scaling leave their order about as it is."""
SKETCH = 128
"""Numbers that a profile is projected to."""
TOLERANCE = 0.75
"""Spot spacings within which two spots lie at the same place."""
MIN_COUNTS = 10
"""Near-empty spots are alike by chance."""


@dataclass(frozen=True)
class Profiles:
    """Profiles of the spots of a slide, and where they lie.

    Attributes
    ----------
    points
        Complex positions ``x + iy``, in spot spacings.
    sketches
        ``(n, width)`` float32, of unit length: how the counts of a spot differ from those of the slide.
    deepest
        Their positions, from the one with the most counts.
    """

    points: np.ndarray
    sketches: np.ndarray
    deepest: np.ndarray

    @classmethod
    def empty(cls) -> Profiles:
        """Of a slide without counts."""
        return cls(np.empty(0, complex), np.empty((0, 1), np.float32), np.empty(0, int))


def choose_genes(counts: Any) -> np.ndarray:
    """Positions of the genes of highest counts, over all slides: nothing is fitted on them."""
    total = np.asarray(counts.sum(axis=0)).ravel()
    return np.sort(np.argsort(-total, kind="stable")[:GENES])


def profile(counts: Any, xy: np.ndarray, genes: np.ndarray, pitch: float) -> Profiles:
    """Describe the deepest spots of a slide.

    Parameters
    ----------
    counts
        ``(spots, genes)`` of the slide, sparse or dense.
    xy
        Places of the spots ``(n, 2)``.
    genes
        Positions of those to compare by.
    pitch
        Distance of neighboring spots.
    """
    total = np.asarray(counts.sum(axis=1)).ravel()
    placed = np.isfinite(xy).all(axis=1)
    # spots without coordinates come last: where they match cannot be checked
    deep = np.argsort(-np.where(placed, total, 0), kind="stable")[:SPOTS]
    deep = np.sort(deep[(total[deep] >= MIN_COUNTS) & placed[deep]])
    deepest = np.argsort(-total[deep], kind="stable")
    part = counts[deep][:, genes]
    dense = np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float32)
    # square roots of Poisson counts vary alike, whatever their mean
    values = np.sqrt(dense / total[deep, None].astype(np.float32))
    values = _standardized(values)
    return Profiles((xy[deep, 0] + 1j * xy[deep, 1]) / pitch, unit_rows(_projected(values)), deepest)


def _standardized(values: np.ndarray) -> np.ndarray:
    """Differences from the mean of the slide, in deviations of each gene, at most three."""
    if not len(values):
        return values
    deviation = values.std(axis=0)
    known = deviation > 0
    scaled = (values - values.mean(axis=0)) / np.where(known, deviation, 1)
    return np.where(known, scaled, 0).clip(-3, 3)


def _projected(values: np.ndarray) -> np.ndarray:
    """Random projection, the same for every slide; few genes stay as they are."""
    if values.shape[1] <= SKETCH:
        return values
    # random signs keep inner products on average (Achlioptas 2003); a fixed seed makes slides comparable
    signs = np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.float32), (values.shape[1], SKETCH))
    return values @ signs


def matched(a: Profiles, b: Profiles) -> tuple[int, int]:
    """Spots of one slide whose best match in the other lies where one transformation puts it, of how many.

    Returns
    -------
    tuple[int, int]
        Matched spots, and spots of the slide with fewer.
    """
    fewer = min(len(a.points), len(b.points))
    if fewer == 0 or a.sketches.shape[1] != b.sketches.shape[1]:
        return 0, fewer
    r = a.sketches @ b.sketches.T
    best, back = r.argmax(axis=1), r.argmax(axis=0)
    # each other's best matches: any spot has a best one, also where the other slide holds no counterpart
    here = np.flatnonzero((back[best] == np.arange(len(a.points))) & (r.max(axis=1) > 0))
    p, q = a.points[here], b.points[best[here]]
    # negating the real part mirrors a section, which may lie turned over on its slide
    found = [agreed.n for points in (p, -np.conj(p)) if (agreed := agree(points, q, TOLERANCE)) is not None]
    return max(found, default=0), fewer
