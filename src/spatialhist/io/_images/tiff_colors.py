"""What the channels of a TIFF are, by its tags, its OME-XML, and its codestream where these say nothing."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.rgb import named_order
from spatialhist.io._images.colors import Colors, warn_cmyk, warn_gray

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

KINDS = {"RGB": "rgb", "YCBCR": "rgb", "MINISBLACK": "gray", "MINISWHITE": "white_is_zero", "SEPARATED": "cmyk"}
COLOR_CHANNELS = {"rgb": 3, "cmyk": 4}
ALPHA = {"UNASSALPHA": "straight", "ASSOCALPHA": "premultiplied"}
LOSSLESS = ("NONE", "PACKBITS", "LZW", "DEFLATE", "ADOBE_DEFLATE", "LZMA", "ZSTD")
CMYK_INKS = 1
"""Value of the tag InkSet for cyan, magenta, yellow and black."""
START, SIZES, CODING = b"\xff\x4f\xff\x51", b"\xff\x51", b"\xff\x52"
"""Markers of JPEG 2000."""


def stored_colors(file: TiffFile, series: TiffPageSeries, n: int, path: Path) -> Colors:
    """Say what the ``n`` channels of an image are.

    Raises
    ------
    ValueError
        If they are not the colors of an RGB or gray image.
    """
    page = series.keyframe
    photometric = _name(page.photometric)
    order = named_order(_channel_names(file, series, n), "it") if n > 1 else None
    if order is not None:
        return Colors("rgb", order=order)
    if photometric == "PALETTE" and n == 1:
        return Colors("palette", palette=_palette(page))
    kind = _kind(page, photometric)
    extra = [_name(sample) for sample in page.extrasamples]
    if kind == "gray" and n == 3:
        warnings.warn(
            f"{path} has three channels that are not named: they are read as red, green and blue",
            stacklevel=2,
        )
        return Colors("rgb")
    colors = COLOR_CHANNELS.get(kind, 1)
    if n not in (colors, colors + 1) or (colors == 1 and n == 2 and not set(extra) & set(ALPHA)):
        raise ValueError(f"it has {n} channels, of which nothing tells red, green and blue: save it as RGB")
    if kind == "cmyk":
        warn_cmyk(str(path))
    if colors == 1:
        warn_gray(str(path))
    return Colors(kind=_inside(file, series, kind), alpha=_alpha(extra, path) if n > colors else "")


def _name(value: Any) -> str:
    return getattr(value, "name", str(value))


def _kind(page: TiffPage, photometric: str) -> str:
    """Colors by the tag.

    Decoders of JPEG and its kin return RGB even where the tag says otherwise.
    """
    inks = page.tags.valueof("InkSet", default=CMYK_INKS)
    raw = photometric == "YCBCR" and _name(page.compression) in LOSSLESS
    if photometric not in KINDS or raw or (photometric == "SEPARATED" and inks != CMYK_INKS):
        raise ValueError(f"its colors are {photometric}: save it as RGB")
    return KINDS[photometric]


def _alpha(extra: list[str], path: Path) -> str:
    kind = extra[0] if extra else "UNSPECIFIED"
    if kind not in ALPHA:
        warnings.warn(
            f"{path} has a further channel beside its colors, which is no alpha: it is left out",
            stacklevel=3,
        )
    return ALPHA.get(kind, "")


def _palette(page: TiffPage) -> np.ndarray:
    """Colors of a palette; they have 16 bits, of which some programs fill 8."""
    stored = np.asarray(page.colormap)
    return np.moveaxis(stored if stored.max() < 256 else stored >> 8, 0, -1).astype(np.uint8)


def _channel_names(file: TiffFile, series: TiffPageSeries, n: int) -> list[str] | None:
    """Names of the channels in OME-XML or ImageJ's labels, where there is one each."""
    labels = (file.imagej_metadata or {}).get("Labels") or []
    if file.ome_metadata and file.is_ome:
        pixels = largest_in_ome(file)
        channels = [] if pixels is None else [e for e in pixels if e.tag.endswith("}Channel")]
        labels = [c.get("Name") or "" for c in channels]
    return list(labels) if len(labels) == n else None


def largest_in_ome(file: TiffFile) -> ET.Element | None:
    """Description of the largest image, which is the one that is read; None where nothing is described."""
    if not file.ome_metadata:
        return None
    images = [element for element in ET.fromstring(file.ome_metadata).iter() if element.tag.endswith("}Pixels")]
    return max(images, key=lambda pixels: int(pixels.get("SizeX", 0)) * int(pixels.get("SizeY", 0)), default=None)


def _inside(file: TiffFile, series: TiffPageSeries, kind: str) -> str:
    """``"ycbcr"`` where JPEG 2000 holds it and its decoder hands it out as it is.

    Aperio's compression 33003 says so by its number alone. Where chroma is subsampled the decoder converts it.
    """
    page = series.keyframe
    compression = _name(page.compression)
    tagged = compression == "JPEG2000" and _name(page.photometric) == "YCBCR"
    if kind != "rgb" or not (compression == "APERIO_JP2000_YCBC" or tagged):
        return kind
    data = _first_codestream(file, page)
    at = data.find(START)
    if at < 0 or _subsampled(data[at:]) or (tagged and _transformed(data[at:])):
        return kind
    return "ycbcr"


def _first_codestream(file: TiffFile, page: TiffPage) -> bytes:
    where = zip(page.dataoffsets, page.databytecounts, strict=True)
    offset, length = next(((o, n) for o, n in where if n), (0, 0))
    file.filehandle.seek(offset)
    # the main header, which is all that is looked at, is much shorter
    return file.filehandle.read(min(length, 4096))


def _subsampled(data: bytes) -> bool:
    """By the sizes of the second component, which follow those of image, tiles and first component."""
    # two markers, the fixed fields of the second, and three bytes of the first component
    second = 4 + 38 + 3
    return max(data[second + 1 : second + 3], default=1) > 1


def _transformed(data: bytes) -> bool:
    """Whether RGB went in, which the decoder gets back."""
    at = data.find(CODING, 4 + int.from_bytes(data[4:6], "big"))
    # behind marker, length, style, order of progression and number of layers
    return at >= 0 and data[at + 8 : at + 9] == b"\x01"
