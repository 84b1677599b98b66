"""How well the nuclei under spots explain their expression; pure arrays.

The score of a registration is the correlation of the spots' activity with the hematoxylin under them: glass, fat and
fibers have little of both. It needs no edge of the tissue, so spots may cover any part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spatialhist.pp._registration.likelihood import independent_spots, log_likelihood, standard
from spatialhist.pp._registration.scene import Scene, sums_at_shifts
from spatialhist.pp._registration.transforms import move

BLUR = 0.2
"""Smoothing of the nuclei in units: a spot, and what diffuses into it."""
MIN_LEAD = 10.0
"""Log-likelihood by which a registration must lead all others: by chance the best leads the second by x in about
exp(-x) of all searches."""
MIN_GAIN = 3.0
"""Log-likelihood that a freer model must gain."""
FLAT = 1e-3
"""Least variance under spots, relative to that of the map; spots on glass alone have a correlation of 0."""


@dataclass(frozen=True)
class Activity:
    """Correlation of activity and nuclei.

    Attributes
    ----------
    scene
        Spots, and the amount of hematoxylin.
    field
        Hematoxylin smoothed over a spot.
    activity
        Mean 0 and variance 1 ``(n,)``; all 0 if every spot is as active.
    """

    measure: ClassVar[str] = "correlation"
    certainty_is: ClassVar[str] = "log_likelihood_lead"

    scene: Scene
    field: np.ndarray
    activity: np.ndarray

    @classmethod
    def of(cls, scene: Scene, activity: np.ndarray) -> Activity:
        """Standardize the activity."""
        return cls(scene, scene.smooth(scene.picture, BLUR), standard(activity))

    def score(self, matrix: np.ndarray) -> float:
        """Correlation at a registration."""
        return float((self.activity * self._nuclei(matrix)).mean())

    def is_better(self, new: np.ndarray, old: np.ndarray) -> bool:
        """Whether a registration is likelier than a simpler one by more than chance."""
        return self._lead(new, self.score(old)) > MIN_GAIN

    def _nuclei(self, matrix: np.ndarray) -> np.ndarray:
        """Nuclei under spots, mean 0 and variance 1."""
        return standard(self.scene.values(self.field, move(matrix, self.scene.points)), FLAT * self.field.var())

    def _lead(self, matrix: np.ndarray, other: float) -> float:
        """Log-likelihood of a registration over one with another correlation."""
        nuclei, here = self._nuclei(matrix), self.score(matrix)
        # only what nuclei leave unexplained can be explained elsewhere
        spots = independent_spots(self.scene.points, self.activity - here * nuclei, nuclei)
        return float(spots * (log_likelihood(here) - log_likelihood(other)))

    def at_shifts(self, cells: np.ndarray) -> np.ndarray:
        """Score of all shifts of cells; laid out as in ``sums_at_shifts``."""
        n, ones = len(cells), np.ones(len(cells))
        mean = sums_at_shifts(self.field, cells, ones) / n
        variance = sums_at_shifts(self.field**2, cells, ones) / n - mean**2
        covariance = sums_at_shifts(self.field, cells, self.activity) / n
        return covariance / np.sqrt(np.maximum(variance, FLAT * self.field.var()))

    def certainty(self, matrix: np.ndarray) -> float:
        """Log-likelihood over the best registration that is a unit or more away, anywhere on the map."""
        cells = self.scene.cells(move(matrix, self.scene.points))
        scores = self.at_shifts(cells - cells.min(axis=0))
        rows, columns = (np.arange(n) for n in scores.shape)
        row, column = cells.max(axis=0)
        away = np.hypot((rows[:, None] - row) / self.scene.per_unit[1], (columns - column) / self.scene.per_unit[0])
        return self._lead(matrix, float(scores[away >= 1].max()))

    def reason(self, lead: float) -> str:
        """Say why so small a lead is not to be trusted; empty if it is large enough."""
        if lead >= MIN_LEAD:
            return ""
        return f"expression does not determine the position (log-likelihood over others {lead:.1f} < {MIN_LEAD:g})"
