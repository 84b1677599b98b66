"""One region of Xenium and its H&E image, before it is written or joined with others."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._xenium_files.counting import Spots
    from spatialhist.io._xenium_files.files import XeniumFiles
    from spatialhist.io._xenium_files.he_image import HeImage
    from spatialhist.io._xenium_files.spots import Lattice

logger = logging.getLogger(__name__)


def read_part(
    path: str | Path,
    *,
    image: str | Path | None = None,
    alignment: str | Path | None = None,
    spots: tuple[str, float] | Literal["cells"] = ("um", 55),
    lattice: Lattice = "hex",
    min_qv: float = 20,
    slide: str | None = None,
    patient: str | None = None,
    lazy: bool = False,
) -> SpatialData:
    """Read what :func:`spatialhist.io.read_xenium` describes.

    Where `lazy`, pixels of the image stay in its file until they are written to a store.
    """
    from spatialhist.io._assembly.slide import check_slide_id, sample_id
    from spatialhist.io._images.image_file import in_memory, read_image
    from spatialhist.io._xenium_files.files import find_files
    from spatialhist.io._xenium_files.slide import build_spots
    from spatialhist.io._xenium_files.spots import check_spots_option, read_spots

    path = Path(path)
    name = sample_id(path) if slide is None else slide
    check_slide_id(name)
    spacing = check_spots_option(spots, lattice, min_qv)
    files = find_files(path)
    picture = _find_image(files, image, alignment, name)
    pixels = None if picture is None else read_image(picture.path)
    found = read_spots(files, spacing, lattice, min_qv)
    if picture is not None:
        picture.check(found.centers_um, float(np.median(found.diameter_um)) / 2, pixels, name)
        pixels = pixels if lazy else in_memory(pixels, picture.path)
    part = build_spots(found, None if picture is None else picture.alignment, pixels, name, patient)
    _log(part, found, picture, name, path)
    return part


def _find_image(
    files: XeniumFiles, image: str | Path | None, alignment: str | Path | None, slide: str
) -> HeImage | None:
    from spatialhist.io._xenium_files.he_image import find_image

    picture = find_image(files, *(None if given is None else Path(given) for given in (image, alignment)))
    if picture is None:
        warnings.warn(
            f"slide {slide!r} has no H&E image, so nothing can be trained on it or predicted: the images in {files.folder} are "
            "fluorescence. Give the H&E image of the section as image=, and what Xenium Explorer exports for it as alignment=",
            stacklevel=4,
        )
    return picture


def _log(part: SpatialData, found: Spots, picture: HeImage | None, slide: str, path: Path) -> None:
    logger.info("read slide %r with %d spots and %d genes from %s", slide, *part[_keys.TABLE].shape, path)
    logger.info("slide %r: %s", slide, found.tally)
    if picture is not None:
        logger.info("slide %r: H&E image %s, %s", slide, picture.path, picture.alignment)
