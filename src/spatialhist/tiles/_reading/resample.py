"""From a window of pixels to a tile: a separable weighted sum, exact at pixel borders.

Pixel ``j`` covers ``[j, j + 1)``. All positions are in pixels of the level that is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

MIN_TAPS = 3
"""Pixels that are read without a loop over them, which is faster; interpolation needs two."""


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis of a level.

    Attributes
    ----------
    origin
        Where each tile starts, ``(n,)``.
    step
        Pixels of the level per pixel of the tile.
    pixels
        Pixels of the tile.
    """

    origin: np.ndarray
    step: float
    pixels: int

    @property
    def first(self) -> np.ndarray:
        """First pixel of each tile's window, ``(n,)``; may be negative."""
        return np.floor(self.origin + min(0.0, 0.5 * self.step - 0.5)).astype(np.int64)

    @property
    def taps(self) -> int:
        """Window pixels that a tile pixel may depend on."""
        return max(MIN_TAPS, int(np.ceil(self.step)) + 1)

    @property
    def size(self) -> int:
        """Pixels in a window."""
        return int(np.floor((self.pixels - 1) * self.step)) + 1 + self.taps

    def weights(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First window pixel ``(k, pixels)`` and weights ``(k, taps, pixels)`` from there on, for some of the tiles."""
        left = (self.origin - self.first)[index, None] + np.arange(self.pixels) * self.step
        start, weights = _linear(left, self.step) if self.step < 1 else _area(left, self.step, self.taps)
        return start.astype(np.uint32), weights.astype(np.float32)


def _area(left: np.ndarray, step: float, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of each window pixel in ``[left, left + step)``."""
    start = np.floor(left)
    pixel = start[:, None] + np.arange(taps)[:, None]
    overlap = np.minimum(pixel + 1, left[:, None] + step) - np.maximum(pixel, left[:, None])
    return start, np.clip(overlap, 0, None) / step


def _linear(left: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the two pixels whose centers enclose the center of ``[left, left + step)``."""
    center = left + 0.5 * step - 0.5
    start = np.floor(center)
    share = center - start
    return start, np.stack([1 - share, share, np.zeros_like(share)], axis=1)


def mirror(index: np.ndarray, size: int) -> np.ndarray:
    """Reflect indices at the borders of ``0..size``: -1 is 0, -2 is 1, `size` is ``size - 1``."""
    folded = np.mod(index, 2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)


@numba.njit(nogil=True, cache=True)
def resample(
    window: np.ndarray,
    rows: np.ndarray,
    row_weights: np.ndarray,
    columns: np.ndarray,
    column_weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` ``(c, pixels, pixels)`` from `window` ``(c, y, x)``, both uint8.

    Relies on ``rows`` and ``columns`` plus the number of weights lying within the window, as :meth:`Axis.size` makes it.
    """
    line = np.empty(window.shape[2], dtype=np.float32)
    total = np.empty(out.shape[2], dtype=np.float32)
    # Unsigned positions and a fixed number of first taps let the loops over pixels run on whole vectors.
    one, two = np.uint32(1), np.uint32(2)
    for c in range(out.shape[0]):
        for i in range(out.shape[1]):
            line[:] = 0
            for k in range(row_weights.shape[0]):
                if row_weights[k, i] > 0:
                    source = window[c, rows[i] + k]
                    for x in range(line.size):
                        line[x] += row_weights[k, i] * np.float32(source[x])
            for j in range(total.size):
                x = columns[j]
                # half a step, since the cast to uint8 below cuts off
                total[j] = np.float32(0.5) + column_weights[0, j] * line[x]
                total[j] += column_weights[1, j] * line[x + one] + column_weights[2, j] * line[x + two]
            for k in range(MIN_TAPS, column_weights.shape[0]):
                for j in range(total.size):
                    total[j] += column_weights[k, j] * line[columns[j] + np.uint32(k)]
            for j in range(total.size):
                out[c, i, j] = np.uint8(total[j])
