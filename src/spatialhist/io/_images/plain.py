"""JPEG, PNG and other images that are decoded as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.rgb import filled_bits
from spatialhist.io._images.arrays import check_pixels, convert_rows
from spatialhist.io._images.colors import Colors, warn_cmyk, warn_gray
from spatialhist.io._images.upright import TAG, upright

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "JPEG2000")
KINDS = {1: Colors("gray"), 2: Colors("gray", alpha="straight"), 3: Colors("rgb"), 4: Colors("rgb", alpha="straight")}


def read_plain(path: Path) -> np.ndarray:
    """Decode an image file once into ``(y, x, 3)`` uint8.

    Raises
    ------
    ValueError
        If it is cut short, or empty or too large by its header. Decoders raise other errors.
    """
    from PIL import Image

    with _no_pillow_limit(), Image.open(path, formats=FORMATS) as header:
        check_pixels(header.height, header.width, "it")
        pixels = _decode(header, path)
        orientation = header.getexif().get(TAG)
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    if pixels.shape[2] < 3:
        warn_gray(str(path))
    return upright(_to_rgb8(pixels), orientation)


@contextmanager
def _no_pillow_limit() -> Iterator[None]:
    """Let Pillow open any header, which is checked against our own limit, and put its limit back."""
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _decode(header: Image, path: Path) -> np.ndarray:
    """Pixels ``(y, x)`` or ``(y, x, c)`` of gray or RGB, with or without alpha, of 8 or 16 bits."""
    import imagecodecs

    transparent = "transparency" in header.info
    # Pillow holds four bytes a pixel, needs a second copy to hand them out, and cuts 16 bits of a PNG to 8.
    if header.format == "JPEG" and header.mode in ("L", "RGB"):
        data = path.read_bytes()
        _check_jpeg_end(data)
        return imagecodecs.jpeg8_decode(data)
    if header.format == "PNG" and header.mode in ("L", "LA", "RGB", "RGBA", "I;16") and not transparent:
        return imagecodecs.png_decode(path.read_bytes())
    if header.mode.startswith("I"):
        # Pillow hands out 16 bits of gray as 32
        return np.asarray(header).astype(np.uint16)
    if header.mode == "CMYK":
        warn_cmyk(str(path))
    # a bilevel image comes as flags, not as 0 and 255
    if header.mode in ("1", "L"):
        return np.asarray(header.convert("L"))
    return np.asarray(header.convert("RGBA" if transparent or header.mode in ("RGBA", "LA", "PA") else "RGB"))


def _check_jpeg_end(data: bytes) -> None:
    """Refuse a file cut short, which the decoder would fill up with gray."""
    start_of_scan, end_of_image = b"\xff\xda", b"\xff\xd9"
    if data.rfind(end_of_image) < data.rfind(start_of_scan):
        raise ValueError("it is cut short: there is no end-of-image marker")


def _to_rgb8(pixels: np.ndarray) -> np.ndarray:
    colors = KINDS[pixels.shape[2]]
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return pixels
    if pixels.dtype != np.uint8:
        colors = Colors(colors.kind, filled_bits(int(pixels.max())), alpha=colors.alpha)
    return convert_rows(pixels, colors.to_rgb)
