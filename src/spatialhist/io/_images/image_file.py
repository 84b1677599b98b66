"""The one way from an image file to pixels, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._runtime.files import UNDECODABLE, intact, reason
from spatialhist.io._images.arrays import check_pixels
from spatialhist.io._images.plain import read_plain
from spatialhist.io._images.tiff import is_tiff, read_tiff
from spatialhist.io._images.tiff_scale import tiff_mpp

if TYPE_CHECKING:
    import dask.array as da

MPP_RANGE = (0.02, 20.0)
"""Of microscopes; programs that know no scale write 72 dots an inch, which is 353 um."""


def read_image(path: Path) -> np.ndarray | da.Array:
    """Pixels ``(3, y, x)`` uint8 of the slide in a file: lazy for a TIFF, decoded for others.

    Of several images in a file the largest is the slide; it is turned as the file says.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no image, is damaged or too large, or holds other colors.
    """
    from PIL import UnidentifiedImageError

    if not path.is_file():
        raise FileNotFoundError(f"no image {path}")
    try:
        return read_tiff(path) if is_tiff(path) else np.moveaxis(read_plain(path), -1, 0)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} cannot be read as an image: it is no TIFF, JPEG or PNG. Slides of other formats (MRXS, CZI, VSI, "
            "DICOM) have to be converted to OME-TIFF first, with QuPath or bfconvert"
        ) from error
    except UNDECODABLE as error:
        raise ValueError(f"{path} cannot be read as an image: {reason(error)}") from error


def read_pixels(path: Path) -> np.ndarray:
    """Pixels ``(3, y, x)`` uint8 of the slide in a file, in memory.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_image`, or if it does not fit in memory.
    """
    return in_memory(read_image(path), path)


def in_memory(image: np.ndarray | da.Array, path: Path) -> np.ndarray:
    """Decode lazy pixels of a file once, straight into the array that is returned."""
    import dask.array as da

    if isinstance(image, np.ndarray):
        return image
    # again, by the lower limit of what is held in memory
    check_pixels(image.shape[1], image.shape[2], str(path))
    pixels = np.empty(image.shape, dtype=np.uint8)
    with intact(path, "{path} cannot be read as an image: {error}", errors=UNDECODABLE):
        # no lock: each block is written to a place of its own
        da.store(image, pixels, lock=False)
    return pixels


def read_mpp(path: Path) -> float | None:
    """Micrometers per pixel by the file; None where it does not say.

    Raises
    ------
    ImportError, ValueError
        As :func:`spatialhist.io._images.tiff_scale.tiff_mpp`.
    """
    return tiff_mpp(path) if is_tiff(path) else None
