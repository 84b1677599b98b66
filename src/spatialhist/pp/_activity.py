"""Spots on tissue and spots on glass, told apart by what they express; pure arrays."""

from __future__ import annotations

import numpy as np

TWO_GROUPS = 0.75
"""Share of the variance between two groups above which there are two; one normal distribution split in half has 0.64."""
MIN_GLASS = 0.02
"""Share of spots on glass from which their level is known."""


def spot_activity(totals: np.ndarray) -> np.ndarray:
    """Place each spot between tissue (1) and glass (-1) by its total expression.

    Glass is the lower of two clear groups of log totals (Otsu), or else what lies below the median by four robust
    standard deviations. A spot half on tissue has about half the total, so what lies between counts in proportion; a
    few low outliers say nothing of spots in between.
    """
    totals = np.nan_to_num(totals)
    low = _low_group(np.log1p(totals))
    if low.mean() < MIN_GLASS:
        return np.where(low, -1.0, 1.0)
    glass, tissue = np.median(totals[low]), np.median(totals[~low])
    return np.clip(2 * (totals - glass) / (tissue - glass) - 1, -1, 1)


def _low_group(log: np.ndarray) -> np.ndarray:
    from skimage.filters import threshold_otsu

    if np.ptp(log) == 0:
        return np.zeros(len(log), dtype=bool)
    high = log > threshold_otsu(log)
    between = high.mean() * (1 - high.mean()) * (log[high].mean() - log[~high].mean()) ** 2
    if between > TWO_GROUPS * log.var():
        return ~high
    spread = 1.4826 * np.median(np.abs(log - np.median(log)))
    return log < np.median(log) - 4 * spread
