"""Smooth random fields and their interpolation to pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Field = np.ndarray
"""Values on a regular grid, `(rows, columns)`, float32."""


def smooth_noise(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> Field:
    """Gaussian noise blurred by `sigma` grid steps, with mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="reflect")
    return (noise - noise.mean()) / max(float(noise.std()), 1e-6)


def interpolate(field: Field, rows: np.ndarray, columns: np.ndarray) -> Field:
    """Values of a gridded field on the product of `rows` and `columns`, bilinear, in grid steps."""
    y, fy = _split(rows, field.shape[0])
    x, fx = _split(columns, field.shape[1])
    lines = field[y] * (1 - fy)[:, None] + field[y + 1] * fy[:, None]
    return lines.take(x, axis=1) * (1 - fx) + lines.take(x + 1, axis=1) * fx


def sample(field: np.ndarray, xy: np.ndarray, step: float) -> Field:
    """Values of a gridded field at points (x, y) given in the unit of `step`, bilinear."""
    return ndimage.map_coordinates(field, xy.T[::-1] / step, order=1, mode="nearest")


def oriented_noise(angle: Field, length: int, width: float, rng: np.random.Generator) -> Field:
    """Noise smeared along the local direction `angle`: fibers `length` long, `width` wide in pixels, unit variance.

    Line integral convolution (Cabral and Leedom, 1993) with straight lines, which is enough for fibers
    that are short beside the bends of the field.
    """
    noise = smooth_noise(angle.shape, width, rng) + smooth_noise(angle.shape, 4 * width, rng)
    y, x = np.indices(angle.shape, dtype=np.float32)
    dx, dy = np.cos(angle), np.sin(angle)
    total = np.zeros_like(noise)
    for k in range(-(length // 2), length // 2 + 1):
        i = np.clip(y + k * dy + 0.5, 0, angle.shape[0] - 1).astype(np.intp)
        j = np.clip(x + k * dx + 0.5, 0, angle.shape[1] - 1).astype(np.intp)
        total += noise[i, j]
    total = ndimage.gaussian_filter(total, 0.5)
    return (total - total.mean()) / total.std()


def _split(position: np.ndarray, size: int) -> tuple[np.ndarray, Field]:
    low = np.clip(np.floor(position), 0, size - 2).astype(np.intp)
    return low, np.clip(position - low, 0, 1).astype(np.float32)
