"""Parts of a whole, as proportions of cell types: values that are not negative and sum to 1 in every spot."""

from __future__ import annotations

from typing import Any

import numpy as np

CLOSE = 1e-3
"""How far from 1 the sum of a spot may be: proportions are often written with three or four digits."""


def is_composition(values: Any) -> bool:
    """Whether the columns of a sparse or dense matrix are parts of a whole in every row."""
    if values.shape[1] < 2 or not values.shape[0]:
        return False
    sums = np.asarray(values.sum(axis=1)).ravel()
    return bool((np.abs(sums - 1) <= CLOSE).all()) and bool(values.min() >= 0)


def as_composition(values: np.ndarray) -> np.ndarray:
    """Predictions ``(n, parts)``, clipped at 0 and divided by their sum; NaN where a part was not predicted, or none is above 0."""
    parts = np.maximum(values, 0)
    total = parts.sum(axis=1, keepdims=True)
    # dividing by NaN and not by 0: no warning, and NaN comes out
    return parts / np.where(total > 0, total, np.nan)
