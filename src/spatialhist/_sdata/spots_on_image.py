"""Whether spots and the image they are laid on belong together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.flags import as_flags

if TYPE_CHECKING:
    import pandas as pd

MOST_OUTSIDE = 0.1
"""Share of spots that may lie outside of their image, as some do of an image that was cropped to the tissue."""
SAME = 0.02
"""Difference of two sizes of one image, as rounding of a small copy's scale leaves it."""
PITCH_UM = (1.0, 1000.0)
"""Distances of neighboring spots, from Visium HD to the first arrays."""


@dataclass(frozen=True)
class SmallImage:
    """A small copy of the image that positions were measured on.

    Attributes
    ----------
    key
        Name of the element.
    size
        Columns and rows of the copy.
    covers
        Columns and rows of the image that it was made of, by its scale factor.
    """

    key: str
    size: tuple[int, int]
    covers: tuple[float, float]


def should_be_inside(in_tissue: pd.Series | None, n: int) -> np.ndarray:
    """Boolean of ``n`` spots: in tissue, or all where nothing tells; the others may lie beside a cropped image."""
    every = np.ones(n, dtype=bool)
    if in_tissue is None:
        return every
    try:
        found = as_flags(in_tissue, "in_tissue", gap=True)
    except ValueError:
        return every
    # a table of no spot in tissue would be compared with nothing
    return found if found.any() else every


def check_spots(
    xy: np.ndarray,
    size: tuple[int, int],
    slide: str,
    image: str,
    *,
    radius: float = 0.0,
    small: SmallImage | None = None,
) -> None:
    """Compare spots with the image they are laid on.

    Parameters
    ----------
    xy
        Spot centers ``(n, 2)`` as (x, y) in pixels of the image; those of spots in tissue, where that is known.
    size
        Columns and rows of the image.
    slide, image
        What to call them.
    radius
        Of a spot, which lies outside when all of it does.
    small
        A small copy of the image that positions were measured on.

    Raises
    ------
    ValueError
        If more than a tenth of the spots lie outside. Fewer are warned of.
    """
    problem = misfit(xy, size, slide, image, radius=radius, small=small)
    if is_grave(xy, size, radius):
        raise ValueError(problem)
    if problem:
        warnings.warn(problem, stacklevel=4)


def is_grave(xy: np.ndarray, size: tuple[int, int], radius: float = 0.0) -> bool:
    """Whether more spots lie outside than an image that was cropped would leave there."""
    return bool(_outside(xy, size, radius).mean() > MOST_OUTSIDE) if len(xy) else False


def misfit(
    xy: np.ndarray,
    size: tuple[int, int],
    slide: str,
    image: str,
    *,
    radius: float = 0.0,
    small: SmallImage | None = None,
) -> str:
    """Say what is wrong with spots and their image, and the likely mistake; nothing where they fit."""
    n = int(_outside(xy, size, radius).sum())
    shape = f"image {image!r} of {size[0]} x {size[1]} pixels"
    if small is not None and not _alike(size, small.covers):
        spots = (
            f"{n} of {len(xy)} spots of slide {slide!r} lie outside of it" if n else f"it is laid under slide {slide!r}"
        )
        return f"{shape} is not the one that positions were measured on, and {spots}: {_other_size(size, small)}"
    if not n:
        return ""
    return f"{n} of {len(xy)} spots of slide {slide!r} lie outside of {shape}: {_other_positions(xy, size)}"


def _outside(xy: np.ndarray, size: tuple[int, int], radius: float) -> np.ndarray:
    finite = np.isfinite(xy).all(axis=1)
    # a spot that touches the image is on it
    return finite & ((xy + radius < 0) | (xy - radius > np.array(size))).any(axis=1)


def _alike(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return bool(np.allclose(a, b, rtol=SAME, atol=1))


def _other_size(size: tuple[int, int], small: SmallImage) -> str:
    """The mistake by the size of the image and of the one that positions belong to."""
    ratio = np.array(size) / np.array(small.covers)
    wanted = f"give the image of about {small.covers[0]:.0f} x {small.covers[1]:.0f} pixels"
    if _alike(size, small.size):
        return f"it is as large as {small.key!r}, Space Ranger's small copy; {wanted}"
    if abs(ratio[0] / ratio[1] - 1) < SAME:
        return f"it is a copy at {ratio.mean():.3g} times the size; {wanted}"
    if _alike(size, small.covers[::-1]):
        return f"it is turned by a quarter; {wanted}"
    return f"it is of another slide, or cropped; {wanted}"


def _other_positions(xy: np.ndarray, size: tuple[int, int]) -> str:
    """The mistake by where spots lie."""
    if not is_grave(xy, size):
        return "the image is cropped, or these spots are misplaced; sh.pp.filter_spots takes them out"
    if not is_grave(xy[:, ::-1], size):
        return "x and y are swapped: give positions as (x, y), column before row"
    reach = np.nanmax(np.where(np.isfinite(xy), xy, np.nan), axis=0)
    times = float((reach / np.array(size)).max())
    if np.nanmin(xy) >= -size[0] and times > 1.2:
        return (
            f"positions reach to ({reach[0]:.0f}, {reach[1]:.0f}), so they were measured on an image at least "
            f"{times:.2g} times as large: give that one, not a smaller copy such as tissue_hires_image.png"
        )
    return "the image is cropped, or of another slide: give the one that positions were measured on"


def check_distance(pitch_px: float | None, mpp: float | None, slide: str, *, known_um: float | None = None) -> None:
    """Compare the distance of neighboring spots with the size of a pixel, and warn where they cannot both be right.

    Parameters
    ----------
    pitch_px
        Distance of neighboring spots in pixels.
    mpp
        Micrometers per pixel.
    slide
        What to call the slide.
    known_um
        Distance in micrometers, where the array is known.
    """
    if not pitch_px or not mpp:
        return
    found = pitch_px * mpp
    if known_um is not None and not 0.8 < found / known_um < 1.25:
        warnings.warn(
            f"spots of slide {slide!r} lie {pitch_px:.4g} pixels apart, which are {found:.3g} um at {mpp:.4g} um per pixel, "
            f"but the array has {known_um:g} um: the image is a copy at {known_um / found:.2g} times the size, or its scale "
            "is wrong",
            stacklevel=4,
        )
    elif known_um is None and not PITCH_UM[0] <= found <= PITCH_UM[1]:
        warnings.warn(
            f"spots of slide {slide!r} lie {found:.3g} um apart by mpp={mpp:g}, which no array has: mpp is that of another "
            "image, or positions are",
            stacklevel=4,
        )
