"""Hexagonal lattices of points."""

from __future__ import annotations

import numpy as np


def hexagonal_lattice(extent: tuple[float, float], pitch: float) -> np.ndarray:
    """Points (x, y) inside `extent` (width, height), row by row, every other row moved by half the spacing."""
    y = np.arange(pitch / 2, extent[1], pitch * np.sqrt(3) / 2)
    x = np.arange(pitch / 4, extent[0], pitch)
    xx, yy = np.meshgrid(x, y)
    xx[1::2] += pitch / 2
    points = np.column_stack([xx.ravel(), yy.ravel()])
    return points[points[:, 0] < extent[0]]


def jittered_lattice(extent: tuple[float, float], pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Points of a hexagonal lattice, each moved by up to a third of the spacing along x and y."""
    points = hexagonal_lattice(extent, pitch)
    return points + rng.uniform(-pitch / 3, pitch / 3, points.shape)
