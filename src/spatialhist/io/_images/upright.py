"""Images turned the way their file says they are to be seen."""

from __future__ import annotations

from typing import Any

TAG = 274
"""Orientation in TIFF and EXIF: 1 to 8, of which 5 to 8 lie on their side."""


def upright(pixels: Any, orientation: Any) -> Any:
    """Turn and mirror ``(y, x, c)``, numpy or dask, as the tag says; what the tag does not know stays."""
    # first: the mirrors below are of the image that already stands
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
