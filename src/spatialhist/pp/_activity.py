"""How well the nuclei under spots explain their expression; pure arrays.

The score of a placement is the correlation of the spots' activity with the haematoxylin under them: glass, fat and
fibres have little of both. It needs no edge of the tissue, so spots may cover any part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialhist.pp._gain import standard_errors
from spatialhist.pp._placements import around, move
from spatialhist.pp._scene import Scene, sums_at_shifts

BLUR = 0.2
"""Smoothing of the nuclei in units: a spot, and what diffuses into it."""
MIN_FALL = 3.0
"""How clearly the score must fall on every side of the optimum, in standard errors; shuffled activity and that of other
slides reached 2.1 in 120 searches."""
FLAT = 1e-3
"""Least variance under spots, relative to that of the map; spots on glass alone have a correlation of 0."""


@dataclass(frozen=True)
class Activity:
    """Correlation of activity and nuclei.

    Attributes
    ----------
    scene
        Spots, and the amount of haematoxylin.
    field
        Haematoxylin smoothed over a spot.
    activity
        Mean 0 and variance 1 ``(n,)``; all 0 if every spot is as active.
    """

    scene: Scene
    field: np.ndarray
    activity: np.ndarray

    @classmethod
    def of(cls, scene: Scene, activity: np.ndarray) -> Activity:
        """Standardise the activity."""
        return cls(scene, scene.smooth(scene.picture, BLUR), _standard(activity, 0.0))

    def shares(self, matrix: np.ndarray) -> np.ndarray:
        """Contribution of each spot to the score of a placement: its influence on the correlation, and the mean."""
        under = self.scene.values(self.field, move(matrix, self.scene.points))
        nuclei = _standard(under, FLAT * self.field.var())
        product = self.activity * nuclei
        influence = product - product.mean() / 2 * (self.activity**2 + nuclei**2)
        return (influence - influence.mean() + product.mean()) / len(product)

    def at_shifts(self, cells: np.ndarray) -> np.ndarray:
        """Score of all shifts of cells; laid out as in ``sums_at_shifts``."""
        n, ones = len(cells), np.ones(len(cells))
        mean = sums_at_shifts(self.field, cells, ones) / n
        variance = sums_at_shifts(self.field**2, cells, ones) / n - mean**2
        covariance = sums_at_shifts(self.field, cells, self.activity) / n
        return covariance / np.sqrt(np.maximum(variance, FLAT * self.field.var()))

    def sharpness(self, matrix: np.ndarray) -> float:
        """Smallest fall of the score over eight directions, in standard errors."""
        here, falls = self.shares(matrix), []
        for step in around():
            there = matrix.copy()
            there[:2, 2] += step
            falls.append(standard_errors(self.scene.points, here - self.shares(there)))
        return min(falls)

    def objection(self, sharpness: float) -> str:
        """Say why so flat an optimum is not to be trusted; empty if it is sharp enough."""
        if sharpness >= MIN_FALL:
            return ""
        return f"activity does not fix the placement (sharpness {sharpness:.1f} < {MIN_FALL:g} standard errors)"


def _standard(values: np.ndarray, floor: float) -> np.ndarray:
    """Mean 0 and variance 1, or less where the variance is below a floor."""
    centered = values - values.mean()
    variance = max(float(values.var()), floor)
    return centered / np.sqrt(variance) if variance > 0 else np.zeros(len(values))
