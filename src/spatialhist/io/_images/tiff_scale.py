"""How large the pixels of a TIFF are, in the many places where scanners and programs write it."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage
    from tiffslide import TiffSlide

MICRO = dict.fromkeys(("µm", "\N{GREEK SMALL LETTER MU}m", "um", "\\u00B5m", "micron", "microns", "micrometer"), 1.0)
IN_UM = {**MICRO, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "in": 25400.0, "inch": 25400.0}
"""Units of OME-XML and ImageJ."""
TAG_UNITS = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}
"""Micrometers in the unit of the tag; 1 is no unit."""
MAX_OBLONG = 0.02


def tiff_mpp(opened: TiffSlide, page: TiffPage) -> float | None:
    """Micrometers per pixel of an image, by OME-XML, else the scanner's own record, else ImageJ's, else the tags.

    Raises
    ------
    ValueError
        If pixels are not square.
    """
    file = opened.ts_tifffile
    found = _of_ome(file) or _of_scanner(opened) or _of_imagej(file, page) or _of_tags(page)
    if found is None:
        return None
    x, y = found
    if abs(x / y - 1) > MAX_OBLONG:
        raise ValueError(f"its pixels are {x:g} x {y:g} um, not square: resample it")
    return (x + y) / 2


def _of_ome(file: TiffFile) -> tuple[float, float] | None:
    """Of the largest image, which is the one that is read."""
    if not file.ome_metadata:
        return None
    images = [element for element in ET.fromstring(file.ome_metadata).iter() if element.tag.endswith("}Pixels")]
    largest = max(images, key=lambda pixels: int(pixels.get("SizeX", 0)) * int(pixels.get("SizeY", 0)), default=None)
    if largest is None:
        return None
    sizes = [largest.get(f"PhysicalSize{axis}") for axis in "XY"]
    units = [largest.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY"]
    if None in sizes or not set(units) <= set(IN_UM):
        return None
    x, y = (float(size) * IN_UM[unit] for size, unit in zip(sizes, units, strict=True))
    return (x, y) if x > 0 and y > 0 else None


def _of_scanner(opened: TiffSlide) -> tuple[float, float] | None:
    """Aperio, Leica, Philips, as tiffslide reads them; its record of a damaged header is as good as none."""
    from spatialhist.io._images.plain import BROKEN

    try:
        with warnings.catch_warnings():
            # tiffslide warns of properties of the scanner that are not used here
            warnings.simplefilter("ignore")
            known = opened.properties
    except (*BROKEN, StopIteration):
        return None
    x, y = (known.get(f"tiffslide.mpp-{axis}") for axis in "xy")
    return (float(x), float(y)) if x and y and known.get("tiffslide.vendor") else None


def _of_imagej(file: TiffFile, page: TiffPage) -> tuple[float, float] | None:
    about: dict[str, Any] = file.imagej_metadata or {}
    return _per_unit(page, IN_UM.get(str(about.get("unit")).strip()))


def _of_tags(page: TiffPage) -> tuple[float, float] | None:
    inch = 2
    return _per_unit(page, TAG_UNITS.get(int(page.tags.valueof("ResolutionUnit", default=inch))))


def _per_unit(page: TiffPage, unit: float | None) -> tuple[float, float] | None:
    if unit is None or not {"XResolution", "YResolution"} <= {tag.name for tag in page.tags}:
        return None
    x, y = page.get_resolution()
    return (unit / x, unit / y) if x > 0 and y > 0 else None
