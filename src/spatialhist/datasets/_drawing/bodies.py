"""Outlines of cells as a segmentation finds them: nuclei grown until they meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.cells import Cells

_GROWTH = 5.0  # micrometers between the outline of a nucleus and of its cell, unless another one is nearer
_NEIGHBORS = 12  # cells that may bound a cell
_CORNERS = 16


@dataclass(frozen=True)
class Bodies:
    """Bodies of cells as polygons around their nuclei, which do not overlap.

    Attributes
    ----------
    xy
        Centers of nuclei in micrometers, ``(n, 2)``.
    radius
        From there to the corners, which lie in regular directions, the first along x, ``(n, corners)``.
    """

    xy: np.ndarray
    radius: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """Corners of the polygons in micrometers, ``(n, corners, 2)``."""
        return self.xy[:, None] + self.radius[:, :, None] * _directions()

    @property
    def area(self) -> np.ndarray:
        """Square micrometers."""
        following = np.roll(self.radius, -1, axis=1)
        return (self.radius * following).sum(axis=1) * np.sin(2 * np.pi / _CORNERS) / 2

    def at(self, points: np.ndarray) -> np.ndarray:
        """Cell that each point ``(m, 2)`` lies in; -1 for those between cells."""
        distance, cell = cKDTree(self.xy).query(points)
        dx, dy = (points - self.xy[cell]).T
        return np.where(distance < self._reach(cell, np.arctan2(dy, dx)), cell, -1)

    def _reach(self, cell: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Distance from the center of a cell to its outline, which is straight between corners."""
        wedge = 2 * np.pi / _CORNERS
        turns = np.mod(angle, 2 * np.pi) / wedge
        first = np.floor(turns).astype(np.intp)
        beyond = (turns - first) * wedge
        a, b = self.radius[cell, first % _CORNERS], self.radius[cell, (first + 1) % _CORNERS]
        return a * b * np.sin(wedge) / (a * np.sin(beyond) + b * np.sin(wedge - beyond))


def grow_bodies(cells: Cells) -> Bodies:
    """Grow nuclei by a few micrometers, at most to half the way to the next nucleus."""
    limit = np.full((len(cells), _CORNERS), np.inf)
    _, near = cKDTree(cells.xy).query(cells.xy, k=min(_NEIGHBORS + 1, len(cells)))
    for other in near.reshape(len(cells), -1).T[1:]:
        to = cells.xy[other] - cells.xy
        along = to @ _directions().T
        halfway = (to**2).sum(axis=1)[:, None] / (2 * np.maximum(along, 1e-9))
        limit = np.minimum(limit, np.where(along > 0, halfway, np.inf))
    return Bodies(cells.xy, np.minimum(_nuclear_radius(cells) + _GROWTH, limit))


def _nuclear_radius(cells: Cells) -> np.ndarray:
    """From the center of a nucleus to its outline in the direction of each corner."""
    turned = np.arange(_CORNERS) * 2 * np.pi / _CORNERS - cells.angle[:, None]
    long, short = cells.axes.T[:, :, None]
    return long * short / np.hypot(short * np.cos(turned), long * np.sin(turned))


def _directions() -> np.ndarray:
    angle = np.arange(_CORNERS) * 2 * np.pi / _CORNERS
    return np.column_stack([np.cos(angle), np.sin(angle)])
