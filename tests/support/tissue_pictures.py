"""Pictures with details of several sizes, as tissue has."""

from __future__ import annotations

import numpy as np


def tissue_picture(seed: int, shape: tuple[int, int] = (300, 420)) -> np.ndarray:
    """Pixels ``(y, x, c)`` uint8."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    depth = sum(gaussian_filter(rng.normal(size=shape), size) * size for size in (2, 5, 15))
    depth = (depth - depth.min()) / np.ptp(depth)
    return np.stack([120 + 100 * depth, 60 + 140 * depth, 120 + 90 * depth], axis=2).astype(np.uint8)
