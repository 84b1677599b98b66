"""Folded tissue; pure arrays."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from spatialhist.pp._tissue.optical_density import optical_density

SMOOTH_UM = 30.0
"""Wider than nuclei, narrower than a fold."""
LAYERS = 1.5
"""Half-way between one layer of tissue and two."""


def fold_mask(pixels: np.ndarray, tissue: np.ndarray, glass: np.ndarray, *, um_per_px: float) -> np.ndarray:
    """Find tissue that lies on tissue: optical densities of layers add, in every channel.

    Parameters
    ----------
    pixels
        ``(y, x, 3)`` uint8.
    tissue, glass
        Boolean ``(y, x)``; the median of tissue is taken for one layer.
    um_per_px
        Micrometers per pixel.

    Returns
    -------
    ndarray
        Boolean ``(y, x)``.
    """
    density = optical_density(pixels)
    if glass.any():
        density -= np.median(density[glass], axis=0)
    sigma = SMOOTH_UM / um_per_px
    density = ndi.gaussian_filter(density, (sigma, sigma, 0))
    layer = np.median(density[tissue], axis=0) if tissue.any() else np.zeros(3)
    return tissue & (density > LAYERS * layer).all(axis=2) & bool((layer > 0).all())
