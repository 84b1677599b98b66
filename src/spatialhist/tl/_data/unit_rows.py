"""Rows of length 1, whose products are cosines."""

from __future__ import annotations

import numpy as np


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Rows divided by their length; rows of zeros stay zeros."""
    values = values.astype(np.float32)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1)
