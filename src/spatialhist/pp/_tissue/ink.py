"""Ink of a pen: a color that hematoxylin and eosin do not have, or one in which there are no cells; pure arrays."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from spatialhist.pp._tissue.morphology import connected, dilated

GREEN_LEAD = 0.95
"""Hematoxylin and eosin absorb green most; red and blue together reach less than this share of it."""
FOREIGN_DENSITY = 0.3
"""Foreign color denser than this is ink; so is what is denser at the edge of a stroke."""
PEN_DENSITY = 0.7
"""A pen is at least this dense where it absorbs most."""
EDGE_DENSITY = 1.0
"""Density summed over the channels from which on a hue can be told: the edges of strokes are paler than their middle."""
SMOOTH = 0.1
"""Texture of ink is below this share of its density; a few percent of dense tissue are as smooth."""
STROKE_UM = 150.0
"""Smooth pixels of one hue that are fewer than a square of this side are no stroke."""
EDGE_SIGMAS = 3.0
"""The edge of a stroke, which is not smooth, is as wide, in scales of texture."""
OF_STROKES = 0.75
"""A hue is ink's where more of its pixels lie in strokes or at their edges. Tissue reaches half of it."""
LEAST_REST = 0.1
"""What is stained in other hues, as a share of what is taken for ink: a slide is not made of ink alone."""
UNDER_NOISE = 0.1
"""Density that a pen varies by, as a share of its largest."""
HUES = 50
"""Steps from 0 to 1 in which red's and blue's share of the density are told apart."""


def foreign(density: np.ndarray) -> np.ndarray:
    """Pixels that do not absorb green most, of optical density above the glass ``(3, y, x)``."""
    red, green, blue = density
    return (red + blue) / 2 > GREEN_LEAD * green


def find_ink(density: np.ndarray, texture: np.ndarray, *, sigma: float, um_per_px: float) -> np.ndarray:
    """Find pixels under ink of any color.

    Black, green, yellow and many other inks do not absorb green most. Red, purple, pink and some blue ones do: these are
    found by their hue. A pen has one, and it is smooth; tissue of the same hue holds nuclei. Where a stroke goes on over
    tissue, it is found by what is left when the pen's density is taken off.

    Parameters
    ----------
    density
        Optical density above the glass, smoothed ``(3, y, x)``.
    texture
        Its local standard deviation in green ``(y, x)``.
    sigma
        Scale of texture in pixels.
    um_per_px
        Micrometers per pixel.

    Returns
    -------
    ndarray
        Boolean ``(y, x)``.
    """
    most, other = density.max(axis=0), foreign(density)
    ink = other & (most > FOREIGN_DENSITY)
    smooth = (most > PEN_DENSITY) & (texture < SMOOTH * density[1])
    pixels = (STROKE_UM / um_per_px) ** 2
    if smooth.sum() < pixels:
        return ink
    pen = _of_one_hue(density, smooth, sigma, pixels)
    rest = (density.sum(axis=0) > EDGE_DENSITY) & ~pen & ~other
    return ink | pen if rest.sum() > LEAST_REST * pen.sum() else ink


def _of_one_hue(density: np.ndarray, smooth: np.ndarray, sigma: float, pixels: float) -> np.ndarray:
    """Dense pixels of the hues that lie in smooth strokes and hardly anywhere else, and the edges of these strokes."""
    total = density.sum(axis=0)
    dense = total > EDGE_DENSITY
    hue = np.zeros(total.shape, dtype=np.intp)
    hue[dense] = _hue(density[:, dense], total[dense])
    strokes = dilated(smooth & dense, EDGE_SIGMAS * sigma)
    of_smooth, of_strokes, of_all = (_count(hue[mask & dense]) for mask in (smooth, strokes, dense))
    of_ink = (of_strokes > OF_STROKES * of_all) & (of_smooth > pixels)
    pen = dense & of_ink[hue]
    number, n = ndi.label(of_ink.reshape(HUES, HUES), np.ones((3, 3)))
    of_pen = number.ravel()[hue] * (pen & smooth)
    through = [
        _under(density, np.median(density[:, of_pen == k], axis=1)) for k in range(1, n + 1) if (of_pen == k).any()
    ]
    # Edges are mixed with what lies beside them.
    edges = (density.max(axis=0) > FOREIGN_DENSITY) & dilated(pen & smooth, EDGE_SIGMAS * sigma)
    return connected(np.any([edges, pen, *through], axis=0), pen)


def _under(density: np.ndarray, pen: np.ndarray) -> np.ndarray:
    """Pixels that are tissue or glass again when the density of a pen ``(3,)`` is taken off: most inks are transparent."""
    left = density - pen[:, None, None]
    none = (np.abs(left) < UNDER_NOISE * pen.max()).all(axis=0)
    return (left > -UNDER_NOISE * pen.max()).all(axis=0) & (none | ~foreign(left))


def _hue(density: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Number of the hue of pixels ``(3, n)``."""
    red, _, blue = np.clip(density / total * HUES, 0, HUES - 1).astype(np.intp)
    return red * HUES + blue


def _count(hue: np.ndarray) -> np.ndarray:
    """Pixels of every hue and of those beside it."""
    counts = np.bincount(hue, minlength=HUES**2).reshape(HUES, HUES).astype(float)
    return ndi.uniform_filter(counts, 3, mode="constant").ravel() * 9
