"""From a window of pixels to a tile: a separable weighted sum, exact at pixel borders.

Pixel ``j`` covers ``[j, j + 1)``. All positions are in pixels of the level that is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True)
class Axis:
    """Tiles along one axis of a level.

    Attributes
    ----------
    origin
        Where each tile starts, ``(n,)``.
    step
        Pixels of the level per pixel of the tile; 1 where pixels are copied.
    pixels
        Pixels of the tile.
    """

    origin: np.ndarray
    step: float
    pixels: int

    @property
    def copies(self) -> bool:
        """Whether pixels are taken as they are."""
        return self.step == 1

    @property
    def first(self) -> np.ndarray:
        """First pixel of each tile's window, ``(n,)``; may be negative."""
        shift = 0.5 * self.step - 0.5 if self.step < 1 else 0.0
        return np.floor(self.origin + shift).astype(np.int64)

    @property
    def taps(self) -> int:
        """Window pixels that a tile pixel may depend on."""
        return 1 if self.copies else int(np.ceil(self.step)) + 1

    @property
    def size(self) -> int:
        """Pixels in a window."""
        return self.pixels if self.copies else int(np.floor((self.pixels - 1) * self.step)) + 1 + self.taps

    def weights(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First window pixel ``(k, pixels)`` and weights ``(k, pixels, taps)`` from there on, for some of the tiles."""
        offset = (self.origin - self.first)[index, None] + np.arange(self.pixels) * self.step
        return _linear(offset, self.step) if self.step < 1 else _area(offset, self.step, self.taps)


def make_axis(center: np.ndarray, extent: float, pixels: int) -> Axis:
    """Plan one axis of tiles of `pixels` pixels that cover ``[center - extent / 2, center + extent / 2)``.

    Where the scales agree to within half a pixel over the tile, pixels are copied, from ``floor(center - pixels / 2 +
    0.5)`` on. Otherwise they are averaged by area when there are more of them than asked for, and interpolated
    linearly when there are fewer.
    """
    if abs(extent - pixels) < 0.5:
        return Axis(np.floor(center - pixels / 2 + 0.5), 1.0, pixels)
    return Axis(center - extent / 2, extent / pixels, pixels)


def _area(left: np.ndarray, step: float, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of each window pixel in ``[left, left + step)``."""
    start = np.floor(left).astype(np.int64)
    pixel = start[..., None] + np.arange(taps)
    overlap = np.minimum(pixel + 1, left[..., None] + step) - np.maximum(pixel, left[..., None])
    return start, (np.clip(overlap, 0, None) / step).astype(np.float32)


def _linear(left: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the two pixels whose centres enclose the centre of ``[left, left + step)``."""
    position = left + 0.5 * step - 0.5
    start = np.floor(position)
    share = position - start
    return start.astype(np.int64), np.stack([1 - share, share], axis=-1).astype(np.float32)


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
    """Fill `out` ``(c, pixels, pixels)`` from `window` ``(c, y, x)``, both uint8."""
    line = np.empty(window.shape[2], dtype=np.float32)
    for c in range(out.shape[0]):
        for i in range(out.shape[1]):
            line[:] = 0
            for k in range(row_weights.shape[1]):
                weight = row_weights[i, k]
                if weight > 0:
                    source = window[c, rows[i] + k]
                    for x in range(line.size):
                        line[x] += weight * np.float32(source[x])
            for j in range(out.shape[2]):
                total = np.float32(0.5)
                for k in range(column_weights.shape[1]):
                    total += column_weights[j, k] * line[columns[j] + k]
                out[c, i, j] = np.uint8(total)
