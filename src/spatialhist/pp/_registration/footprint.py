"""How well spots cover the tissue; pure arrays.

The score of a registration is the overlap of the spots' footprint with the tissue (Dice). A spot stands for its cell of
the lattice, so the overlap is the sum, over spots, of the tissue smoothed over about a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spatialhist.pp._registration.scene import Scene, sums_at_shifts
from spatialhist.pp._registration.transforms import around, move

BLUR = 0.3
"""Smoothing of the tissue in units: about the radius of a spot."""
CLOSE = 0.6
"""Smoothing that closes the gaps between spots."""
MIN_GAIN = 1.0
"""Standard errors by which a registration must be better than a simpler one."""
MIN_SHARPNESS = 0.3
"""How steeply the score must fall on every side of the optimum, against a tissue of exactly the spots' outline."""


@dataclass(frozen=True)
class Footprint:
    """Overlap of spots and tissue.

    Attributes
    ----------
    scene
        Spots, and how much tissue there is, 0 to 1.
    field
        Tissue smoothed over a spot.
    spot_area, tissue_area
        Area of a spot's cell and of the tissue in square units.
    """

    measure: ClassVar[str] = "overlap"
    certainty_is: ClassVar[str] = "sharpness"

    scene: Scene
    field: np.ndarray
    spot_area: float
    tissue_area: float

    @classmethod
    def of(cls, scene: Scene) -> Footprint:
        """Measure the areas."""
        square = scene.per_unit.prod()
        covered = _union(scene, scene.points).sum() / square
        field = scene.smooth(scene.picture, BLUR)
        return cls(scene, field, float(covered / len(scene.points)), float(scene.picture.sum() / square))

    def score(self, matrix: np.ndarray) -> float:
        """Overlap at a registration."""
        return float(self.shares(matrix).sum())

    def is_better(self, new: np.ndarray, old: np.ndarray) -> bool:
        """Whether a registration gains more than noise over a simpler one."""
        return standard_errors(self.scene.points, self.shares(new) - self.shares(old)) > MIN_GAIN

    def shares(self, matrix: np.ndarray) -> np.ndarray:
        """Contribution of each spot to the score of a registration."""
        area = self.spot_area * abs(np.linalg.det(matrix[:2, :2]))
        overlap = area * self.scene.values(self.field, move(matrix, self.scene.points))
        return 2 * overlap / (self.tissue_area + area * len(overlap))

    def at_shifts(self, cells: np.ndarray) -> np.ndarray:
        """Order the shifts of cells by their score; laid out as in ``sums_at_shifts``."""
        return sums_at_shifts(self.field, cells, np.ones(len(cells)))

    def certainty(self, matrix: np.ndarray) -> float:
        """Smallest fall of the score over eight directions, relative to a tissue of exactly the spots' outline."""
        placed = move(matrix, self.scene.points)
        expected = self._falls(self.scene.smooth(_union(self.scene, placed), BLUR), placed)
        # where even the spots' own outline does not fall there is no certainty, which is said below
        found = self._falls(self.field, placed) / np.maximum(expected, 1e-9)
        return float(found.min()) if (expected > 0).all() else 0.0

    def _falls(self, field: np.ndarray, placed: np.ndarray) -> np.ndarray:
        here = self.scene.values(field, placed).sum()
        return np.array([here - self.scene.values(field, placed + step).sum() for step in around()])

    def reason(self, sharpness: float) -> str:
        """Say why so flat an optimum is not to be trusted; empty if it is sharp enough."""
        if sharpness >= MIN_SHARPNESS:
            return ""
        return f"the tissue outline does not determine the position (sharpness {sharpness:.2f} < {MIN_SHARPNESS})"


def _union(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Union of the spots' cells, on the grid of the map."""
    row, column = scene.cells(points).T
    height, width = scene.picture.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    grid = np.zeros((height, width), dtype=np.float32)
    grid[row[inside], column[inside]] = scene.per_unit.prod()
    # smoothing takes an edge to half its height where the edge was
    return scene.smooth(grid, CLOSE) > 0.5


BLOCK = 4.0
"""Side of the blocks, in units: neighboring spots gain together."""


def standard_errors(points: np.ndarray, gain: np.ndarray) -> float:
    """Return the sum of what each spot gains, in standard errors over blocks of spots.

    Parameters
    ----------
    points
        Spots ``(n, 2)`` in units.
    gain
        What each gains ``(n,)``.
    """
    _, block = np.unique(np.floor(points / BLOCK).astype(np.int64), axis=0, return_inverse=True)
    sums = np.bincount(block, gain)
    error = float(np.std(sums) * np.sqrt(len(sums)))
    return float(sums.sum()) / error if error > 0 else 0.0
