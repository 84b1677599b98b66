"""How much stain there is on the tissue; pure arrays."""

from __future__ import annotations

import numpy as np

from spatialhist.pp._tissue.optical_density import optical_density


def stain_amount(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How much stain there is on the tissue, between 0 (glass) and 1 (as much as the tissue's median, or more).

    Parameters
    ----------
    pixels
        ``(y, x, 3)`` uint8.
    mask
        Boolean ``(y, x)``.

    Returns
    -------
    ndarray
        Float32 ``(y, x)``, 0 off the mask.
    """
    if not mask.any():
        return mask.astype(np.float32)
    # of green, which hematoxylin and eosin absorb most
    density = optical_density(pixels[..., 1])
    # of the glass, which is seldom pure white
    density -= 0 if mask.all() else np.median(density[~mask])
    typical = np.median(density[mask])
    return np.where(mask, np.clip(density / typical, 0, 1), 0) if typical > 0 else mask.astype(np.float32)


def hematoxylin_amount(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Separate hematoxylin, the stain of nuclei, by the vectors of Ruifrok and Johnston (2001); arguments as of ``stain_amount``."""
    from skimage.color import rgb2hed

    # glass may be gray or yellow
    glass = np.full(3, 255) if mask.all() else np.maximum(np.median(pixels[~mask], axis=0), 1)
    return np.where(mask, rgb2hed(np.minimum(pixels / glass, 1))[..., 0], 0).astype(np.float32)
