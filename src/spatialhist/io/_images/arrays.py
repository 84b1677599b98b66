"""Arrays of any common kind into ``(y, x, 3)`` uint8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spatialhist._sdata.rgb import on_white, to_uint8

MAX_PIXELS = 2_000_000_000
"""Images whose header promises more are refused before memory is asked for (6 GB of uint8 RGB)."""
ROWS = 512
"""Rows converted at a time, so that no second full-size copy exists."""


def check_pixels(height: int, width: int, name: str) -> None:
    """Refuse an image that is empty or too large, from its header alone."""
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"{name} is {width} x {height} pixels: an image has 1 to {MAX_PIXELS:,} of them")


def to_rgb8(image: Any, *, name: str = "image") -> np.ndarray:
    """Bring an image into ``(y, x, 3)`` uint8; one that is so already is not copied.

    Gray becomes three equal channels, alpha is laid on white, float in [0, 1] is scaled to 0..255 and rounded.

    Raises
    ------
    TypeError
        If the pixels are neither uint8 nor float.
    ValueError
        If it is not clear which axis holds the channels, or floats are missing or outside [0, 1].
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 and pixels.dtype.kind != "f":
        raise TypeError(f"{name} holds {pixels.dtype}: give uint8 of 0..255, or float of [0, 1]")
    pixels = _channels_last(pixels, name)
    check_pixels(pixels.shape[0], pixels.shape[1], name)
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return pixels
    if pixels.shape[2] == 4 and not pixels[:, :, 3].any():
        raise ValueError(f"{name} has a fourth channel of 0, which as alpha would hide all of it: give its first three")
    return convert_rows(pixels, lambda rows: _convert(rows, name))


def convert_rows(pixels: Any, to_rgb: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Convert ``(y, x, c)`` into ``(y, x, 3)`` uint8 rows by rows, so that no second full-size copy exists."""
    rgb = np.empty((*pixels.shape[:2], 3), dtype=np.uint8)
    for top in range(0, len(rgb), ROWS):
        rgb[top : top + ROWS] = to_rgb(pixels[top : top + ROWS])
    return rgb


def _channels_last(pixels: np.ndarray, name: str) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.ndim != 3:
        raise ValueError(f"{name} has shape {pixels.shape}; want (y, x), (y, x, channels) or (channels, y, x)")
    first, last = (pixels.shape[axis] in (1, 3, 4) for axis in (0, 2))
    # (3, y, 3) could be an image three rows high or three pixels wide
    if first == last:
        why = "either end could be the channels" if first else "neither end has 1, 3 or 4 channels"
        raise ValueError(f"{name} has shape {pixels.shape}: {why}; give (y, x, 3)")
    # a view: moving axes copies nothing
    return pixels if last else np.moveaxis(pixels, 0, -1)


def _convert(pixels: np.ndarray, name: str) -> np.ndarray:
    values = to_uint8(pixels, name) if pixels.dtype.kind == "f" else pixels
    return values if values.shape[2] < 4 else on_white(values)
