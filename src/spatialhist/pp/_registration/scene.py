"""Spots on a map of the tissue; pure arrays.

Lengths are in units: the spot spacing, or a bin where there are too many spots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi
from scipy.signal import fftconvolve

STEPS = 6
"""Pixels of the map per unit, at least."""


@dataclass(frozen=True)
class Scene:
    """Spots, and the map that they are laid on.

    Attributes
    ----------
    picture
        The map ``(y, x)``.
    per_unit
        Pixels of the map per unit, ``(x, y)``.
    points
        Spots or bins of spots in units ``(n, 2)``.
    """

    picture: np.ndarray
    per_unit: np.ndarray
    points: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Width and height of the map in units."""
        return np.array(self.picture.shape[::-1]) / self.per_unit

    def smooth(self, picture: np.ndarray, sigma: float) -> np.ndarray:
        """Smooth a picture on the grid of the map by so many units; nothing lies beyond its border."""
        return ndi.gaussian_filter(picture.astype(np.float32), sigma * self.per_unit[::-1], mode="constant")

    def values(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Read a picture on the grid of the map at points in units; 0 outside."""
        x, y = (points * self.per_unit - 0.5).T
        return ndi.map_coordinates(field, [y, x], order=1, mode="constant")

    def cells(self, points: np.ndarray) -> np.ndarray:
        """Pixels of the map nearest to points, ``(row, column)``."""
        # whole numbers are middles of pixels here, and corners in points
        return np.round((points * self.per_unit - 0.5)[:, ::-1]).astype(np.int64)


def make_scene(picture: np.ndarray, factors: tuple[float, float], points: np.ndarray, unit: float) -> Scene:
    """Shrink a picture to what the search needs.

    Parameters
    ----------
    picture
        ``(y, x)``.
    factors
        Image pixels per pixel of it, ``(x, y)``.
    points
        Spots or bins in units.
    unit
        Image pixels per unit.
    """
    from skimage.transform import downscale_local_mean

    shrink = max(1, int(unit / STEPS / max(factors)))
    # what does not fill a block counts as empty
    small = downscale_local_mean(picture.astype(np.float32), (shrink, shrink))
    return Scene(small, unit / (np.array(factors) * shrink), points)


def binned(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One point per occupied unit square: mean position and mean value."""
    _, square = np.unique(np.floor(points).astype(np.int64), axis=0, return_inverse=True)
    n = np.bincount(square)
    mean = np.column_stack([np.bincount(square, column) for column in points.T]) / n[:, None]
    return mean, np.bincount(square, values) / n


def sums_at_shifts(field: np.ndarray, cells: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of a picture under the cells, for all shifts at which they touch it.

    Cells start at (0, 0); element ``[i, j]`` of the result belongs to a shift by ``(i, j) - cells.max(axis=0)``.
    """
    raster = np.zeros(cells.max(axis=0) + 1)
    np.add.at(raster, tuple(cells.T), weights)
    # reversed, which makes a correlation of a convolution
    return fftconvolve(field, raster[::-1, ::-1])
