"""Whether a gain over the spots is more than noise."""

from __future__ import annotations

import numpy as np

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
