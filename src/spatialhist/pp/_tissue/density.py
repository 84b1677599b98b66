"""Tissue from optical density above the glass and local texture; pure arrays."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from spatialhist.pp._tissue.ink import find_ink, foreign
from spatialhist.pp._tissue.morphology import closed, connected, dilated, eroded
from spatialhist.pp._tissue.optical_density import optical_density

TEXTURE_UM = 15.0
"""Scale of texture: a cell and the area around it."""
SHARPER = 5
"""Edges are located this many times finer than texture."""
BRIDGE_UM = 60.0
"""Radius that bridges what is empty within tissue: a fat cell is about 100 um across."""
HOLE_UM = 600.0
"""Enclosed glass smaller than a disc of this diameter is a lumen, a vessel or fat, and belongs to the tissue."""
SPECK_UM = 200.0
"""Pieces smaller than a disc of this diameter are debris."""
TEXTURE_RANGE = (0.02, 0.05)
"""What clean glass stays below, and what tissue exceeds: standard deviation of natural-log optical density."""
NOISE_FACTOR = 4.0
"""Texture that stands out, in multiples of the glass's own."""
GLASS_BRIGHT = 0.7
"""Glass is brighter than this share of the brightest pixels."""
GLASS_CHROMA = 0.2
"""Glass is at most this colorful, (max - min) / max of its channels, in the colors of stain."""
GLASS_SHARE = 0.002
"""A smaller share of smooth bright pixels is no glass."""


def density_mask(pixels: np.ndarray, *, um_per_px: float = 6.0) -> np.ndarray:
    """Find tissue on a low-resolution H&E image.

    Glass is bright, smooth and without the color of stain. Tissue has texture or is clearly denser than the glass,
    absorbs green more than red and blue, and hangs together with a part that has all three. Smooth stain beside a
    section, shadows, dust and ink lack one of them.

    Parameters
    ----------
    pixels
        ``(y, x, 3)`` uint8.
    um_per_px
        Micrometers per pixel; a rough guess is enough.

    Returns
    -------
    ndarray
        Boolean ``(y, x)``.
    """
    planes, sigma = _planes(pixels, um_per_px)
    density, texture, sharp, floor = _features(planes, sigma)
    green, ink = density[1], find_ink(density, texture, sigma=sigma, um_per_px=um_per_px)
    other = ink | foreign(density)
    seeds = _opened((texture > 2 * floor) & (green > 2 * floor) & ~other, sigma)
    if not seeds.any():
        return seeds
    # what hangs together with a seed needs less: some texture, or half of the density that seeds have
    strong = max(4 * floor, float(np.median(green[seeds])) / 2)
    weak = ((texture > floor) | (green > strong)) & (sharp > floor) & ~other
    return _solid(connected(weak, seeds & weak, np.ones((3, 3))), _opened(ink, sigma), um_per_px)


def ink_mask(pixels: np.ndarray, *, um_per_px: float = 6.0) -> np.ndarray:
    """Find ink of any color, on glass and on tissue; arguments as of ``density_mask``."""
    planes, sigma = _planes(pixels, um_per_px)
    density, texture, *_ = _features(planes, sigma)
    return _opened(find_ink(density, texture, sigma=sigma, um_per_px=um_per_px), sigma)


def _planes(pixels: np.ndarray, um_per_px: float) -> tuple[np.ndarray, float]:
    """Return channels ``(3, y, x)`` and the scale of texture in pixels."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    # at least what a pixel grid can show, at most an eighth of an image, however small
    return planes, float(np.clip(TEXTURE_UM / um_per_px, 1.5, max(1.5, min(planes.shape[1:]) / 8)))


def _features(planes: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Measure what tells tissue from glass.

    Returns
    -------
    tuple[ndarray, ndarray, ndarray, float]
        Optical density above the glass, smoothed ``(3, y, x)``; texture ``(y, x)``; density in green, sharp enough for
        an edge not to spill onto the glass ``(y, x)``; and the value below which texture and density are glass.
    """
    od = optical_density(planes)
    density = np.stack([ndi.gaussian_filter(plane, sigma) for plane in od])
    sharp = ndi.gaussian_filter(od[1], sigma / SHARPER)
    texture = np.sqrt(np.maximum(ndi.gaussian_filter(sharp**2, sigma) - density[1] ** 2, 0))
    glass = _glass(planes, texture)
    floor = TEXTURE_RANGE[0]
    if glass.any():
        level = np.median(density[:, glass], axis=1)
        density, sharp = density - level[:, None, None], sharp - level[1]
        floor = float(np.clip(NOISE_FACTOR * np.median(texture[glass]), *TEXTURE_RANGE))
    return density, texture, sharp, floor


def _glass(planes: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Bright, smooth pixels without the color of stain; none where the image is tissue from edge to edge."""
    high, low = planes.max(axis=0), planes.min(axis=0)
    # not of the maximum, which a few odd pixels decide
    bright = low > GLASS_BRIGHT * np.percentile(low, 99)
    # 255 squared still fits
    red, green, blue = planes.astype(np.uint16)
    tinted = green**2 > red * blue  # by the lamp or the scanner: stain takes more green than red and blue
    glass = bright & ((high - low < GLASS_CHROMA * high) | tinted) & (texture < TEXTURE_RANGE[0])
    # What was never scanned is filled with pure white, brighter than the glass.
    scanned = glass & (low < 255)
    glass = scanned if scanned.mean() > GLASS_SHARE else glass
    return glass if glass.mean() > GLASS_SHARE else np.zeros_like(glass)


def _opened(mask: np.ndarray, radius: float) -> np.ndarray:
    """Parts of a mask that a disc fits into; the mask goes on beyond the border of the image."""
    if mask.all():
        return mask
    margin = int(radius) + 2
    core = eroded(np.pad(mask, margin, mode="edge"), radius)
    # as it is where there is no ink: nothing to dilate
    opened = dilated(core, radius) if core.any() else core
    return opened[margin:-margin, margin:-margin]


def _solid(mask: np.ndarray, ink: np.ndarray, um_per_px: float) -> np.ndarray:
    """Bridge gaps, fill small holes, drop specks; ink stays out."""
    radius = BRIDGE_UM / um_per_px
    margin = int(radius) + 2
    mask = closed(np.pad(mask, margin), radius)[margin:-margin, margin:-margin]
    mask |= _small_pieces(~mask, HOLE_UM / um_per_px, inside=True)
    # only now: filling holes would take ink within the tissue for tissue
    mask &= ~ink
    return mask & ~_small_pieces(mask, SPECK_UM / um_per_px)


def _small_pieces(mask: np.ndarray, diameter: float, *, inside: bool = False) -> np.ndarray:
    """Pieces smaller than a disc and than 5 % of the image; with ``inside`` only those off the border."""
    pieces, n = ndi.label(mask)
    # on a small picture such a disc would be most of it
    small = np.bincount(pieces.ravel(), minlength=n + 1) < min(np.pi / 4 * diameter**2, 0.05 * mask.size)
    small[0] = False
    if inside:
        small[np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])] = False
    return small[pieces]
