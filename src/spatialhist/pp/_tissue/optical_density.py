"""How much light tissue absorbs; pure arrays."""

from __future__ import annotations

import numpy as np


def optical_density(pixels: np.ndarray) -> np.ndarray:
    """Natural-log optical density of uint8 pixels of any shape, as float32."""
    # + 1, so that black has a finite density and white one of 0
    return -np.log((np.arange(256, dtype=np.float32) + 1) / 256)[pixels]
