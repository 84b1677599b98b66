"""The picture that spots of an AnnData are laid on: one that is given, or the small one in ``uns["spatial"]``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.spots_on_image import SmallImage

if TYPE_CHECKING:
    from spatialhist.io._anndata.libraries import Library

HIRES = "hires"


@dataclass(frozen=True)
class Picture:
    """Pixels, and what is known of them.

    Attributes
    ----------
    pixels
        ``(3, y, x)`` uint8, numpy or dask, or an image element.
    factor
        Pixels of the picture per pixel that positions were measured in.
    mpp, recorded_mpp
        Micrometers per pixel by a slide of :func:`spatialhist.io.read_wsi`, and by the file.
    patient
        Patient by a slide of :func:`spatialhist.io.read_wsi`.
    small
        A small copy of the image that positions were measured on.
    key
        Name of the small picture that is taken; empty for an image that is given.
    """

    pixels: Any
    factor: float = 1.0
    mpp: float | None = None
    recorded_mpp: float | None = None
    patient: str | None = None
    small: SmallImage | None = None
    key: str = ""


def open_picture(library: Library, image: Any, *, lazy: bool) -> Picture:
    """Open the image of a library, or its small picture where none is given.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file, or it holds no picture of a slide.
    """
    if image is None:
        return _small(library)
    if isinstance(image, str | os.PathLike):
        return _from_file(Path(image), library, lazy=lazy)
    from spatialhist.io._images.given import open_image

    pixels, known = open_image(image)
    return Picture(pixels, mpp=known.get("mpp"), patient=known.get(_keys.PATIENT), small=_small_copy(library))


def _from_file(path: Path, library: Library, *, lazy: bool) -> Picture:
    from spatialhist.io._images.image_file import MPP_RANGE, read_image, read_mpp, read_pixels

    pixels = read_image(path) if lazy else read_pixels(path)
    try:
        recorded = read_mpp(path)
    except (ImportError, ValueError):
        recorded = None
    # a scale that no microscope has says nothing, and must not stand against that of the table
    if recorded is not None and not MPP_RANGE[0] <= recorded <= MPP_RANGE[1]:
        recorded = None
    return Picture(pixels, recorded_mpp=recorded, small=_small_copy(library))


def small_picture(library: Library) -> str | None:
    """Name of the small picture of a library: ``hires``, else the largest."""
    images = library.entry.get("images", {})
    # flags sort before sizes: hires wins whatever its size
    by_size = sorted(images, key=lambda key: (key == HIRES, np.size(images[key])))
    return by_size[-1] if by_size else None


def _small(library: Library) -> Picture:
    from spatialhist.io._images.arrays import to_rgb8

    key = small_picture(library)
    if key is None:
        name = "adata" if library.name is None else f"library {library.name!r}"
        raise ValueError(
            f"{name} has no picture in uns['spatial']: give the image that positions were measured on, "
            "sh.io.from_anndata(adata, image=), or image, positions and counts to sh.io.from_arrays"
        )
    where = f"uns['spatial'][{library.name!r}]['images'][{key!r}]"
    try:
        pixels = to_rgb8(library.entry["images"][key], name=where)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error}. Or give the image that positions were measured on by image=") from error
    return Picture(np.moveaxis(pixels, -1, 0), factor=_small_factor(library, key), key=key)


def _small_factor(library: Library, key: str) -> float:
    factor = scale_factor(library, f"tissue_{key}_scalef")
    if factor is None:
        raise ValueError(
            f"uns['spatial'][{library.name!r}]['scalefactors'] has no 'tissue_{key}_scalef', pixels of the picture {key!r} per "
            "pixel of positions: set it, or give the image that positions were measured on by image="
        )
    return factor


def _small_copy(library: Library) -> SmallImage | None:
    key = small_picture(library)
    factor = None if key is None else scale_factor(library, f"tissue_{key}_scalef")
    if key is None or factor is None:
        return None
    rows, columns = np.shape(library.entry["images"][key])[:2]
    return SmallImage(f"{library.name} {key}", (columns, rows), (columns / factor, rows / factor))


def scale_factor(library: Library, key: str) -> float | None:
    """One of the scale factors of a library; None where there is none.

    Raises
    ------
    ValueError
        If it is no positive number.
    """
    value = library.entry.get("scalefactors", {}).get(key)
    if value is None:
        return None
    try:
        # files written by other programs hold arrays of one number
        number = float(np.ravel(value)[0])
    except (IndexError, TypeError, ValueError):
        number = np.nan
    if not 0 < number < np.inf:
        raise ValueError(
            f"uns['spatial'][{library.name!r}]['scalefactors'][{key!r}] is {value!r}: it must be a positive number, or missing"
        )
    return number
