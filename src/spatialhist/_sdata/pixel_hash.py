"""Recognize a slide by its pixels, whatever its name, its pyramid and its chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

WINDOWS = 8
"""Windows along either side."""
SIDE = 32
"""Pixels along a window."""
MIN_TELLING = 8
"""Windows that are not one color; with fewer, as on a scan with blank glass, every pixel is read."""
ROWS = 1024
"""Rows in memory at once where every pixel is read."""


def hash_pixels(image: Any) -> str:
    """Hash pixels of an image ``(c, y, x)``, which may be lazy.

    A few windows are read, so it costs the same for any size. Hand in the finest level alone: two readers make the
    others in two ways of the same scan.
    """
    # shape and type too: bytes alone would be the same for other shapes of one color
    digest = hashlib.blake2b(repr((tuple(image.shape), str(image.dtype))).encode(), digest_size=16)
    telling = 0
    for window in _windows(image):
        telling += bool((window != window[:, :1, :1]).any())
        digest.update(window.tobytes())
    if telling < MIN_TELLING:
        for start in range(0, image.shape[1], ROWS):
            digest.update(_read(image[:, start : start + ROWS]).tobytes())
    return digest.hexdigest()


def hash_window(image: Any, x: int, y: int) -> str:
    """Hash one window of an image ``(c, y, x)``, which may be lazy, about a place in its pixels."""
    top, left = max(0, y - SIDE // 2), max(0, x - SIDE // 2)
    window = _read(image[:, top : top + SIDE, left : left + SIDE])
    return hashlib.blake2b(repr(window.shape).encode() + window.tobytes(), digest_size=16).hexdigest()


def _windows(image: Any) -> Iterator[np.ndarray]:
    """Windows in the middle of the cells of a regular grid."""
    starts = [[int(size * (i + 0.5) / WINDOWS) for i in range(WINDOWS)] for size in image.shape[1:]]
    for y in starts[0]:
        for x in starts[1]:
            yield _read(image[:, y : y + SIDE, x : x + SIDE])


def _read(part: Any) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(part))
