"""How large the pixels of a TIFF are, in the many places where scanners and programs write it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist._runtime.files import UNDECODABLE
from spatialhist.io._images.tiff import largest, open_tiff
from spatialhist.io._images.tiff_colors import largest_in_ome

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

MICRO = dict.fromkeys(("µm", "\N{GREEK SMALL LETTER MU}m", "um", "\\u00B5m", "micron", "microns", "micrometer"), 1.0)
IN_UM = {**MICRO, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "in": 25400.0, "inch": 25400.0}
"""Units of OME-XML and ImageJ."""
TAG_UNITS = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}
"""Micrometers in the unit of the tag; 1 is no unit."""
MAX_OBLONG = 0.02
"""Relative difference of its sides up to which a pixel counts as square."""


def tiff_mpp(path: Path) -> float | None:
    """Micrometers per pixel of the largest image, by OME-XML, else the scanner's record, else ImageJ's, else the tags.

    Raises
    ------
    ValueError
        If pixels are not square, or the record cannot be read.
    """
    try:
        with open_tiff(path) as file:
            page = file.series[largest(file)].keyframe
            # tags last: programs write a resolution there that was never measured
            found = _of_ome(file) or _of_scanner(path) or _of_imagej(file, page) or _of_tags(page)
    except UNDECODABLE as error:
        raise ValueError(f"records a scale that cannot be read ({error})") from error
    if found is None:
        return None
    x, y = found
    if abs(x / y - 1) > MAX_OBLONG:
        raise ValueError(f"records pixels of {x:g} x {y:g} um, which are not square")
    return (x + y) / 2


def _of_ome(file: TiffFile) -> tuple[float, float] | None:
    """Of the largest image, which is the one that is read."""
    pixels = largest_in_ome(file)
    if pixels is None:
        return None
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "XY"]
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XY"]
    if None in sizes or not set(units) <= set(IN_UM):
        return None
    x, y = (_number(size) * IN_UM[unit] for size, unit in zip(sizes, units, strict=True))
    return (x, y) if x > 0 and y > 0 else None


def _number(text: Any) -> float:
    """A number, also with the decimal comma that some countries' settings write."""
    return float(str(text).replace(",", "."))


def _of_scanner(path: Path) -> tuple[float, float] | None:
    """Aperio, Leica, Philips, as tiffslide reads them; its record of a damaged header is as good as none."""
    from tiffslide import TiffSlide

    options = {"is_ndpi": True} if path.suffix.lower() == ".ndpi" else None
    try:
        with warnings.catch_warnings(), TiffSlide(path, tifffile_options=options) as opened:
            # tiffslide warns of properties of the scanner that are not used here
            warnings.simplefilter("ignore")
            known = opened.properties
    except (*UNDECODABLE, StopIteration):
        return None
    x, y = (known.get(f"tiffslide.mpp-{axis}") for axis in "xy")
    return (_number(x), _number(y)) if x and y and known.get("tiffslide.vendor") else None


def _of_imagej(file: TiffFile, page: TiffPage) -> tuple[float, float] | None:
    about: dict[str, Any] = file.imagej_metadata or {}
    return _per_unit(page, IN_UM.get(str(about.get("unit")).strip()))


def _of_tags(page: TiffPage) -> tuple[float, float] | None:
    # the default of the standard
    inch = 2
    return _per_unit(page, TAG_UNITS.get(int(page.tags.valueof("ResolutionUnit", default=inch))))


def _per_unit(page: TiffPage, unit: float | None) -> tuple[float, float] | None:
    if unit is None or not {"XResolution", "YResolution"} <= {tag.name for tag in page.tags}:
        return None
    x, y = page.get_resolution()
    return (unit / x, unit / y) if x > 0 and y > 0 else None
