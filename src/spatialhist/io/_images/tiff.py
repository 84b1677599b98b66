"""The plane of a TIFF, whatever scanner wrote it: lazy RGB of 8 bits, and how large its pixels are."""

from __future__ import annotations

import logging
import os
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist.io._images.plain import on_white
from spatialhist.io._images.tiff_scale import tiff_mpp

if TYPE_CHECKING:
    import dask.array as da
    import zarr
    from tifffile import TiffFile, TiffPageSeries
    from tiffslide import TiffSlide

logger = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000_000
"""Slides whose header promises more are refused before anything is read; the largest scanned so far have a tenth."""
READ_PX = 2048
"""Side of the squares that are decoded at once, about: they are whole tiles or strips of the file."""
DEPTHS = (8, 10, 12, 14)
"""Bits that cameras fill of 16."""
SAMPLED_PX, SAMPLES = 64, 8
"""Side, and number a side, of the squares that tell how many bits are filled."""
RGB = ("RGB", "MINISBLACK", "MINISWHITE")
LOSSLESS = ("NONE", "PACKBITS", "LZW", "DEFLATE", "ADOBE_DEFLATE", "LZMA", "ZSTD")
SEVERAL = 0.5
"""Share of the largest image's pixels from which on another one is no thumbnail."""


class Plane:
    """Pixels of one image of a file at full resolution; opened again in another process.

    Attributes
    ----------
    path, number
        File, and which of its images.
    shape, dtype, ndim
        Of the pixels.
    chunks
        Shape of the tiles or strips in the file.
    """

    def __init__(self, path: Path, number: int, file: TiffFile | None = None) -> None:
        self.path, self.number = path, number
        self._open(file)
        self.shape, self.dtype, self.ndim = self._pixels.shape, self._pixels.dtype, self._pixels.ndim
        self.chunks = getattr(self._pixels, "chunks", (1,) * self.ndim)

    def __getitem__(self, key: Any) -> np.ndarray:
        if os.getpid() != self._pid:
            # A handle inherited from the parent process shares its position in the file.
            self._open()
        return np.asarray(self._pixels[key])

    def __reduce__(self) -> tuple[type[Plane], tuple[Path, int]]:
        return Plane, (self.path, self.number)

    def _open(self, file: TiffFile | None = None) -> None:
        self._pid = os.getpid()
        series = (file or open_slide(self.path).ts_tifffile).series[self.number]
        self._pixels = _pixels(series)


def _pixels(series: TiffPageSeries) -> np.ndarray | zarr.Array:
    import zarr
    from tifffile import PHOTOMETRIC

    page = series.keyframe
    # Otherwise a file of one strip would be read as a whole for every square.
    if series.dataoffset is not None and page.is_memmappable and not page.is_tiled:
        return series.asarray(level=0, out="memmap")
    # Scanners leave out tiles of nothing but glass.
    glass = 0 if page.photometric == PHOTOMETRIC.MINISWHITE else np.iinfo(series.dtype).max
    return zarr.open_array(series.aszarr(level=0, fillvalue=glass), mode="r")


def open_slide(path: Path) -> TiffSlide:
    """Open a TIFF; NDPI, whose offsets have 64 bits, is told by its suffix."""
    from tiffslide import TiffSlide

    return TiffSlide(path, tifffile_options={"is_ndpi": True} if path.suffix.lower() == ".ndpi" else None)


def read_tiff(path: Path) -> tuple[da.Array, float | None]:
    """Lazy pixels ``(3, y, x)`` uint8 of the largest image of a file, and its micrometers per pixel.

    Raises
    ------
    ImportError
        If tiffslide is missing.
    ValueError
        If it holds no plane of gray or RGB.
    """
    from spatialhist.io._images.plain import BROKEN

    try:
        import tiffslide  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{path} is read through tiffslide: pip install spatialhist[wsi]") from error
    try:
        opened = open_slide(path)
    except BROKEN as error:
        raise ValueError(
            f"{path} cannot be read as a slide: {error}; a format that is no TIFF (MRXS, CZI, VSI, DICOM) has to be "
            "converted to OME-TIFF first, with QuPath or bfconvert"
        ) from error
    try:
        file = opened.ts_tifffile
        number = _largest(file, path)
        series = file.series[number]
        _check(series, file, path)
        return _to_rgb(Plane(path, number, file), series), tiff_mpp(opened, series.keyframe)
    except BROKEN as error:
        opened.close()
        raise ValueError(f"{path} cannot be read as a slide: {error}") from error


def _largest(file: TiffFile, path: Path) -> int:
    """Which image is the slide: thumbnails, labels and overviews are smaller."""
    sizes = [_area(series) for series in file.series]
    if not sizes:
        raise ValueError("it holds no image")
    largest = int(np.argmax(sizes))
    several = sum(size >= SEVERAL * sizes[largest] for size in sizes)
    if several > 1:
        warnings.warn(
            f"{path} holds {several} images of about the same size: number {largest} is read, of "
            f"{file.series[largest].shape}; export the others as files of their own",
            UserWarning,
            stacklevel=4,
        )
    return largest


def _area(series: TiffPageSeries) -> int:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return sizes.get("Y", 0) * sizes.get("X", 0)


def _check(series: TiffPageSeries, file: TiffFile, path: Path) -> None:
    """Refuse what is no slide, from the header alone."""
    from tifffile import COMPRESSION, PHOTOMETRIC

    sizes = dict(zip(series.axes, series.shape, strict=True))
    channels = _channel_axis(series.axes)
    if not {"Y", "X"} <= sizes.keys() <= {"Y", "X", channels} or sizes.get(channels, 1) not in (1, 3, 4):
        raise ValueError(f"it has axes {series.axes!r} of {series.shape}: want one plane of 1, 3 or 4 channels")
    if not 0 < _area(series) <= MAX_PIXELS:
        raise ValueError(f"it is {sizes['X']} x {sizes['Y']} pixels: a slide has 1 to {MAX_PIXELS:,} of them")
    if series.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"it holds {series.dtype}: want 8 or 16 bits a channel")
    colors = PHOTOMETRIC(series.keyframe.photometric).name
    # Decoders of JPEG and its kin return RGB even where the tag says otherwise.
    decoded = COMPRESSION(series.keyframe.compression).name not in LOSSLESS
    if colors not in RGB and not (colors == "YCBCR" and decoded):
        raise ValueError(f"its colors are {colors}: save it as RGB")
    if file.is_bif:
        raise ValueError(
            "tiles of Ventana BIF overlap and have to be stitched: convert it with QuPath, bfconvert or `vips tiffsave`"
        )


def _channel_axis(axes: str) -> str | None:
    return next((a for a in axes if a in "SC"), None)


def _to_rgb(plane: Plane, series: TiffPageSeries) -> da.Array:
    """Let a plane be read square by square as ``(3, y, x)`` uint8."""
    import dask.array as da
    from tifffile import EXTRASAMPLE, PHOTOMETRIC

    channels = _channel_axis(series.axes)
    # Named by chance: the same file may hold other pixels tomorrow.
    pixels = da.from_array(plane, chunks=_squares(plane, series.axes), name=False)
    pixels = pixels[..., None] if channels is None else da.moveaxis(pixels, series.axes.index(channels), -1)
    extra = EXTRASAMPLE(next(iter(series.keyframe.extrasamples), EXTRASAMPLE.UNASSALPHA)).name
    inverted = series.keyframe.photometric == PHOTOMETRIC.MINISWHITE
    convert = partial(_convert, bits=_depth(plane, series.axes), inverted=inverted, extra=extra)
    return da.moveaxis(pixels.map_blocks(convert, dtype=np.uint8, chunks=(*pixels.chunks[:2], (3,))), -1, 0)


def _squares(plane: Plane, axes: str) -> list[int]:
    """Sides of what is decoded at once: whole tiles, and for strips, which are wide, fewer rows."""
    stored = dict(zip(axes, plane.chunks, strict=True))
    size = dict(zip(axes, plane.shape, strict=True))
    width = min(size["X"], stored["X"] * -(-READ_PX // stored["X"]))
    height = min(size["Y"], stored["Y"] * max(1, READ_PX**2 // width // stored["Y"]))
    return [{"Y": height, "X": width}.get(a, n) for a, n in size.items()]


def _depth(plane: Plane, axes: str) -> int:
    """Bits that are in use: cameras of 12 bits write them into 16, where they would look black."""
    if plane.dtype.itemsize == 1:
        return 8
    sizes = dict(zip(axes, plane.shape, strict=True))
    starts = {a: np.linspace(0, max(0, sizes[a] - SAMPLED_PX), SAMPLES).astype(int) for a in "YX"}
    highest = 0
    for y, x in zip(starts["Y"], np.roll(starts["X"], SAMPLES // 2), strict=True):
        where = {"Y": slice(y, y + SAMPLED_PX), "X": slice(x, x + SAMPLED_PX)}
        highest = max(highest, int(plane[tuple(where.get(a, slice(None)) for a in axes)].max()))
    bits = next((b for b in DEPTHS if highest < 2**b), 16)
    logger.info("%s holds 16 bits a channel, of which %d are in use: brought to 8", plane.path, bits)
    return bits


def _convert(pixels: np.ndarray, *, bits: int, inverted: bool, extra: str) -> np.ndarray:
    """Bring ``(y, x, c)`` to RGB of 8 bits; alpha is laid on white, and a fourth channel of another kind dropped."""
    if pixels.dtype != np.uint8:
        pixels = np.minimum((pixels.astype(np.float32) * (255 / (2**bits - 1)) + 0.5), 255).astype(np.uint8)
    if inverted:
        pixels = 255 - pixels
    if pixels.shape[2] == 4 and extra == "ASSOCALPHA":
        rgb, alpha = pixels[:, :, :3], pixels[:, :, 3:]
        return rgb + (255 - np.maximum(alpha, rgb.max(axis=2, keepdims=True)))
    if pixels.shape[2] == 4:
        return on_white(pixels) if extra == "UNASSALPHA" else pixels[:, :, :3]
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
