"""Dilation and erosion of masks by discs, equal to a distance transform's to the pixel and faster; pieces; pure arrays."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage as ndi


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """Pixels at most ``radius`` from a pixel of the mask, center to center."""
    height, square = len(mask), int(radius**2)
    # the square of a root may round to just below it
    square += math.sqrt(square + 1) <= radius
    found, row, width = np.zeros_like(mask), mask.copy(), 0
    # a disc is made of rows: from its shortest, far from the center, to its longest, each grown from the one before
    for dy in range(math.isqrt(square), -1, -1):
        while width < math.isqrt(square - dy**2):
            width += 1
            row[:, width:] |= mask[:, :-width]
            row[:, :-width] |= mask[:, width:]
        kept = max(height - dy, 0)
        found[dy:] |= row[:kept]
        found[:kept] |= row[dy:]
    return found


def eroded(mask: np.ndarray, radius: float) -> np.ndarray:
    """Pixels farther than ``radius`` from every pixel outside of the mask; what lies beyond the image counts for nothing."""
    return ~dilated(~mask, radius)


def connected(mask: np.ndarray, seeds: np.ndarray, neighbors: np.ndarray | None = None) -> np.ndarray:
    """Pieces of a mask that hold a seed; seeds lie on the mask. Pixels that share a side are neighbors by default."""
    pieces, n = ndi.label(mask, neighbors)
    keep = np.zeros(n + 1, dtype=bool)
    keep[pieces[seeds]] = True
    return keep[pieces]


def closed(mask: np.ndarray, radius: float) -> np.ndarray:
    """Dilated, then eroded."""
    return eroded(dilated(mask, radius), radius)
