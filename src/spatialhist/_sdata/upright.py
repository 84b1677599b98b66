"""Pictures of images that lie turned or shifted on their slide, redrawn as squidpy wants them: upright, from the origin."""

from __future__ import annotations

import numpy as np

from spatialhist._sdata.coordinates import length_factor

MOST_PX = 2000
"""Longer side of a redrawn picture, most of which may be empty where an image is shifted far."""
WHITE = 255


def upright(pixels: np.ndarray, to_slide: np.ndarray) -> tuple[np.ndarray, float]:
    """A picture whose pixels are those of the slide but for their size, and the pixels of the slide per pixel of it.

    Parameters
    ----------
    pixels
        ``(y, x, c)`` uint8.
    to_slide
        3x3 matrix from its pixels to those of the slide.
    """
    size = length_factor(to_slide)
    height, width = pixels.shape[:2]
    corners = to_slide[:2] @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    # from the origin of the slide, not of the image, since squidpy has no shift
    reach = np.maximum(corners.max(axis=1), 1)
    size = max(size, reach.max() / MOST_PX)
    return _redrawn(pixels, np.linalg.inv(to_slide), np.ceil(reach / size).astype(int), size), size


def _redrawn(pixels: np.ndarray, from_slide: np.ndarray, shape: np.ndarray, size: float) -> np.ndarray:
    from skimage.transform import AffineTransform, warp

    # whole numbers are the middles of pixels there, and their upper left corners here
    middles = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    source = np.linalg.inv(middles) @ from_slide @ np.diag([size, size, 1]) @ middles
    found = warp(
        pixels, AffineTransform(source), output_shape=tuple(shape[::-1]), order=1, cval=WHITE, preserve_range=True
    )
    return np.rint(found).astype(np.uint8)
