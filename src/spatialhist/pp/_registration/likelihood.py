"""How much likelier one correlation of two maps is than another; pure arrays."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

REACH = 6.0
"""Spots farther apart than this, in units, are taken to be independent."""
MAX_CORRELATION = 1 - 1e-6
"""Keeps the logarithm of a perfect correlation finite."""


def log_likelihood(correlation: np.ndarray | float) -> np.ndarray:
    """Gain in log-likelihood, per independent spot, of a linear relation over none; none counts if it is negative."""
    return -0.5 * np.log(1 - np.clip(correlation, 0, MAX_CORRELATION) ** 2)


def independent_spots(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Number of independent spots that would make two maps correlate by chance as much as these do.

    Neighbors that are alike in both maps count together (Clifford, Richardson and Hemon, Biometrics 1989).

    Parameters
    ----------
    points
        Spots ``(n, 2)`` in units.
    first, second
        Values of each ``(n,)``.
    """
    n, (i, j) = len(points), cKDTree(points).query_pairs(REACH, output_type="ndarray").T
    ring = np.linalg.norm(points[i] - points[j], axis=1).astype(int)
    pairs = np.maximum(np.bincount(ring), 1)
    alike = [np.bincount(ring, v[i] * v[j]) / pairs for v in (standard(first), standard(second))]
    return float(n / (1 + 2 / n * (pairs * np.maximum(alike[0], 0) * np.maximum(alike[1], 0)).sum()))


def standard(values: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """Mean 0 and variance 1, or less where the variance is below a floor."""
    centered = values - values.mean()
    variance = max(float(values.var()), floor)
    return centered / np.sqrt(variance) if variance > 0 else np.zeros(len(values))
