"""Image files and arrays of any common kind into ``(y, x, 3)`` uint8."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

MAX_PIXELS = 2_000_000_000
"""Images whose header promises more are refused before memory is asked for (6 GB of uint8 RGB)."""
ROWS = 512
"""Rows converted at a time, so that no second full-size copy exists."""

BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
"""What decoders raise on a damaged file."""

_TIFF = {".tif", ".tiff", ".btf", ".svs"}


def read_pixels(path: Path) -> np.ndarray:
    """Decode an image file once into ``(y, x, 3)`` uint8.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no image, is cut short, is larger than :data:`MAX_PIXELS`, or is not an RGB or gray one of 8 bits.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no image {path}")
    read = _read_tiff if path.suffix.lower() in _TIFF else _read_jpeg_or_png
    try:
        pixels = read(path)
    except BROKEN as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    return to_rgb8(pixels, name=str(path))


def check_pixels(height: int, width: int, name: str) -> None:
    """Refuse an image that is empty or too large, from its header alone."""
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"{name} is {width} x {height} pixels: an image has 1 to {MAX_PIXELS:,} of them")


def check_channels(sizes: Mapping[str, int], name: str) -> None:
    """Refuse a plane of other than 1, 3 or 4 channels, from its header alone."""
    found = sizes.get("S", 1) * sizes.get("C", 1)
    if found not in (1, 3, 4):
        raise ValueError(f"{name} has {found} channels: want 1, 3 or 4")


def _read_tiff(path: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as tif:
        level = tif.series[0].levels[0]
        sizes = dict(zip(level.axes, level.shape, strict=True))
        if not {"Y", "X"} <= sizes.keys() <= {"Y", "X", "S", "C"}:
            raise ValueError(f"it has axes {level.axes!r}; want one plane, YX with S or C for its channels")
        check_pixels(sizes["Y"], sizes["X"], "it")
        check_channels(sizes, "it")
        pixels = level.asarray()
    channels = [i for i, axis in enumerate(level.axes) if axis in "SC"]
    return np.moveaxis(pixels, channels[0], -1) if channels else pixels


def _read_jpeg_or_png(path: Path) -> np.ndarray:
    import imagecodecs
    from PIL import Image

    data = path.read_bytes()
    with _no_pillow_limit(), Image.open(path) as header:
        check_pixels(header.height, header.width, "it")
        # Pillow holds four bytes a pixel and needs a second copy to hand them out.
        if header.format == "JPEG" and header.mode in ("L", "RGB"):
            _check_jpeg_end(data)
            return imagecodecs.jpeg8_decode(data)
        if header.format == "PNG" and header.mode in ("L", "RGB", "RGBA"):
            return imagecodecs.png_decode(data)
        if header.mode.startswith("I"):
            return np.asarray(header)
        return np.asarray(header.convert("RGBA" if "transparency" in header.info else "RGB"))


def _check_jpeg_end(data: bytes) -> None:
    """Refuse a file cut short, which the decoder would fill up with gray."""
    start_of_scan, end_of_image = b"\xff\xda", b"\xff\xd9"
    if data.rfind(end_of_image) < data.rfind(start_of_scan):
        raise ValueError("it is cut short: there is no end-of-image marker")


@contextmanager
def _no_pillow_limit() -> Iterator[None]:
    """Let Pillow open any header, which is checked against our own limit, and put its limit back."""
    from PIL import Image

    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


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
    rgb = np.empty((*pixels.shape[:2], 3), dtype=np.uint8)
    for top in range(0, len(pixels), ROWS):
        rgb[top : top + ROWS] = _convert(pixels[top : top + ROWS], name)
    return rgb


def _channels_last(pixels: np.ndarray, name: str) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels[:, :, None]
    if pixels.ndim != 3:
        raise ValueError(f"{name} has shape {pixels.shape}; want (y, x), (y, x, channels) or (channels, y, x)")
    first, last = (pixels.shape[axis] in (1, 3, 4) for axis in (0, 2))
    if first == last:
        why = "either end could be the channels" if first else "neither end has 1, 3 or 4 channels"
        raise ValueError(f"{name} has shape {pixels.shape}: {why}; give (y, x, 3)")
    return pixels if last else np.moveaxis(pixels, 0, -1)


def _convert(pixels: np.ndarray, name: str) -> np.ndarray:
    values = to_uint8(pixels, name) if pixels.dtype.kind == "f" else pixels
    return values if values.shape[2] < 4 else on_white(values)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Lay ``(y, x, 4)`` uint8, the last channel alpha, on white."""
    alpha = pixels[:, :, 3:].astype(np.float32) / 255
    return np.rint(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """Scale floats in [0, 1] to 0..255."""
    low, high = values.min(), values.max()
    if np.isnan(low):
        raise ValueError(f"{name} holds NaN: want [0, 1], or uint8 of 0..255")
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name} holds floats from {low} to {high}: want [0, 1], or uint8 of 0..255")
    return np.rint(values * 255).astype(np.uint8)
