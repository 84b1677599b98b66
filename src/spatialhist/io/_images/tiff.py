"""The plane of a TIFF, whatever scanner wrote it: lazy RGB of 8 bits."""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.files import UNDECODABLE, intact
from spatialhist._sdata.rgb import filled_bits, squares_across
from spatialhist.io._images.colors import Colors
from spatialhist.io._images.tiff_colors import stored_colors
from spatialhist.io._images.upright import TAG, upright

if TYPE_CHECKING:
    import dask.array as da
    import zarr
    from tifffile import TiffFile, TiffPageSeries

logger = logging.getLogger(__name__)

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PIXELS = 100_000_000_000
"""Slides whose header promises more are refused before anything is read; the largest scanned so far have a tenth."""
MAX_PART = 2_000_000_000
"""Pixels of a tile or a compressed strip, which are decoded as a whole."""
MAX_PIXELS_PER_BYTE = 10_000
"""Of a file of more than a gigapixel; glass packed well has a thousand."""
READ_PX = 2048
"""Side of the squares that are decoded at once, about: they are whole tiles or strips of the file."""
SEVERAL = 0.5
"""Share of the largest image's pixels from which on another one is no thumbnail."""


class Plane:
    """Pixels of one image of a file at full resolution; opened again in another process.

    The file is open only while pixels are read.

    Attributes
    ----------
    path, number, glass
        File, which of its images, and the value of pixels that the scanner left out.
    shape, dtype, ndim
        Of the pixels.
    chunks
        Shape of the tiles or strips in the file.
    """

    def __init__(self, path: Path, number: int, glass: int, file: TiffFile | None = None) -> None:
        self.path, self.number, self.glass = path, number, glass
        self._open(file)
        self.shape, self.dtype, self.ndim = self._pixels.shape, self._pixels.dtype, self._pixels.ndim
        # a file mapped to memory has no chunks: any pixel can be read by itself
        self.chunks = getattr(self._pixels, "chunks", (1,) * self.ndim)

    def __getitem__(self, key: Any) -> np.ndarray:
        if os.getpid() != self._pid:
            # A handle inherited from the parent process shares its position in the file.
            self._open()
        says = "{path} is damaged, or its pixels cannot be decoded ({kind}: {error}): export the slide again"
        with self._reading(), intact(self.path, says, errors=UNDECODABLE):
            return np.asarray(self._pixels[key])

    def __reduce__(self) -> tuple[type[Plane], tuple[Path, int, int]]:
        # open files and locks cannot be sent to another process
        return Plane, (self.path, self.number, self.glass)

    def _open(self, file: TiffFile | None = None) -> None:
        self._pid, self._lock, self._readers = os.getpid(), threading.Lock(), 0
        if file is None:
            with open_tiff(self.path) as opened:
                self._open(opened)
            return
        self._handle = file.filehandle
        self._pixels = _pixels(file.series[self.number], self.glass)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            # counted, since threads read at once: the last one closes
            self._handle.open()
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._handle.close()


def _pixels(series: TiffPageSeries, glass: int) -> np.ndarray | zarr.Array:
    import zarr

    page = series.keyframe
    # Otherwise a file of one strip would be read as a whole for every square.
    if series.dataoffset is not None and page.is_memmappable and not page.is_tiled:
        return series.asarray(level=0, out="memmap")
    return zarr.open_array(series.aszarr(level=0, fillvalue=glass), mode="r")


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF by its first bytes; names are often wrong."""
    with path.open("rb") as file:
        return file.read(4) in MAGIC


def open_tiff(path: Path) -> TiffFile:
    """Open a TIFF; NDPI, whose offsets have 64 bits, is told by its suffix.

    Files that it names beside itself (OME-XML, Micro-Manager) are not opened: a file from elsewhere could name any.
    """
    from tifffile import TiffFile

    kind: dict[str, Any] = {"is_ndpi": True} if path.suffix.lower() == ".ndpi" else {}
    return TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False, **kind)


def read_tiff(path: Path) -> da.Array:
    """Lazy pixels ``(3, y, x)`` uint8 of the largest image of a file.

    Raises
    ------
    ValueError
        If it holds no plane of gray or RGB. Damaged files raise other errors.
    """
    import dask.array as da

    with open_tiff(path) as file:
        number = largest(file)
        series = file.series[number]
        _check_one(file, number, path)
        _warn_of_others(file, path)
        n = _check(series, file)
        colors = stored_colors(file, series, n, path)
        plane = Plane(path, number, colors.glass(np.iinfo(series.dtype).max), file)
    orientation = series.keyframe.tags.valueof(TAG, default=1)
    return da.moveaxis(upright(_to_rgb(plane, series.axes, colors), orientation), -1, 0)


def largest(file: TiffFile) -> int:
    """Which image is the slide: thumbnails, labels and overviews are smaller."""
    if not len(file.series):
        raise ValueError("it holds no image")
    return int(np.argmax([_area(series) for series in file.series]))


def _area(series: TiffPageSeries) -> int:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return sizes.get("Y", 0) * sizes.get("X", 0)


def _check_one(file: TiffFile, number: int, path: Path) -> None:
    """Say that there are other images of about the size of the one that is read."""
    sizes = [_area(series) for series in file.series]
    several = sum(size >= SEVERAL * sizes[number] for size in sizes)
    if several > 1:
        warnings.warn(
            f"{path} holds {several} images of about the same size: number {number} is read, of "
            f"{file.series[number].shape}; export the others as files of their own",
            stacklevel=4,
        )


def _warn_of_others(file: TiffFile, path: Path) -> None:
    """Say that pixels of other files, which the OME-XML names, are not read."""
    # by a pattern: names are all that is wanted of an XML that may be broken
    named = re.findall(r'FileName="([^"]*)"', file.ome_metadata or "")
    others = sorted({name for name in named if name.lower() != path.name.lower()})
    if others:
        warnings.warn(
            f"{path} names other files in its OME-XML, e.g. {others[0]!r}, which are not read: the slide is what this file "
            "holds. If pixels are missing, export it as one file",
            stacklevel=4,
        )


def _check(series: TiffPageSeries, file: TiffFile) -> int:
    """Refuse what is no slide, from the header alone; number of channels."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    channels = _channel_axis(series.axes)
    if not {"Y", "X"} <= sizes.keys() <= {"Y", "X", channels}:
        raise ValueError(
            f"it has axes {series.axes!r} of {series.shape}: want one plane, 'YX' with 'S' or 'C' for colors"
        )
    if not 0 < _area(series) <= MAX_PIXELS:
        raise ValueError(f"it is {sizes['X']} x {sizes['Y']} pixels: a slide has 1 to {MAX_PIXELS:,} of them")
    _check_promise(series, file)
    if series.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"it holds {series.dtype}: want 8 or 16 bits a channel")
    if file.is_bif:
        raise ValueError(
            "tiles of Ventana BIF overlap and have to be stitched: convert it with QuPath, bfconvert or `vips tiffsave`"
        )
    return 1 if channels is None else sizes[channels]


def _check_promise(series: TiffPageSeries, file: TiffFile) -> None:
    """Refuse what a file of this size cannot hold, and parts that are decoded at once and are too large for it."""
    page, area = series.keyframe, _area(series)
    side = (page.tilelength * page.tilewidth) if page.is_tiled else page.rowsperstrip * page.imagewidth
    if side > MAX_PART and not (page.is_memmappable and not page.is_tiled):
        raise ValueError(
            f"it is stored in parts of {side:,} pixels: want {MAX_PART:,} at most, such as tiles of 512 x 512"
        )
    if area > 1_000_000_000 and area > MAX_PIXELS_PER_BYTE * file.filehandle.size:
        raise ValueError(f"it promises {area:,} pixels in {file.filehandle.size:,} bytes, which hold no slide")


def _channel_axis(axes: str) -> str | None:
    return next((a for a in axes if a in "SC"), None)


def _to_rgb(plane: Plane, axes: str, colors: Colors) -> da.Array:
    """Let a plane be read square by square as ``(y, x, 3)`` uint8."""
    import dask.array as da

    channels = _channel_axis(axes)
    if plane.dtype.itemsize > 1 and colors.palette is None:
        colors = replace(colors, bits=_depth(plane, axes))
    # Named by chance: the same file may hold other pixels tomorrow.
    pixels = da.from_array(plane, chunks=_squares(plane, axes), name=False)
    pixels = pixels[..., None] if channels is None else da.moveaxis(pixels, axes.index(channels), -1)
    return pixels.map_blocks(colors.to_rgb, dtype=np.uint8, chunks=(*pixels.chunks[:2], (3,)))


def _squares(plane: Plane, axes: str) -> list[int]:
    """Sides of what is decoded at once: whole tiles, and for strips, which are wide, fewer rows."""
    stored = dict(zip(axes, plane.chunks, strict=True))
    size = dict(zip(axes, plane.shape, strict=True))
    width = min(size["X"], stored["X"] * -(-READ_PX // stored["X"]))
    # at least one row of tiles, however wide the image is
    height = min(size["Y"], stored["Y"] * max(1, READ_PX**2 // width // stored["Y"]))
    return [{"Y": height, "X": width}.get(a, n) for a, n in size.items()]


def _depth(plane: Plane, axes: str) -> int:
    """Bits in use of 16, by a few squares of the slide."""
    sizes = dict(zip(axes, plane.shape, strict=True))
    highest = 0
    for y, x in squares_across(sizes["Y"], sizes["X"]):
        highest = max(highest, int(plane[tuple({"Y": y, "X": x}.get(a, slice(None)) for a in axes)].max()))
    bits = filled_bits(highest)
    logger.info("%s holds 16 bits a channel, of which %d are in use: brought to 8", plane.path, bits)
    return bits
