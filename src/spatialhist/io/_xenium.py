"""Output of Xenium, with its H&E image."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._xenium_files.he_image import HeImage
    from spatialhist.io._xenium_files.spots import Lattice, Spots

logger = logging.getLogger(__name__)


def read_xenium(
    path: str | Path,
    *,
    image: str | Path | None = None,
    alignment: str | Path | None = None,
    spots: tuple[str, float] | Literal["cells"] = ("um", 55),
    lattice: Lattice = "hex",
    min_qv: float = 20,
    slide: str | None = None,
    patient: str | None = None,
    store: str | Path | None = None,
) -> SpatialData:
    """Read one region of Xenium and the H&E image of the same section.

    Parameters
    ----------
    path
        Output folder of Xenium Onboard Analysis 1 to 4 or of Xenium Ranger; file names may start with the sample's name, as
        those of downloads do.
    image
        H&E image (OME-TIFF, TIFF, SVS, JPEG or PNG). If None, the ``*he_image.ome.tif`` of the folder that has an
        alignment beside it. The images that Xenium makes itself are fluorescence and are not read.
    alignment
        What Xenium Explorer exports for the image: a CSV file of a 3 x 3 matrix from pixels of the H&E image to pixels of the
        morphology image, or of landmarks (``fixedX,fixedY,alignmentX,alignmentY``), through which an affine map is fitted.
        If None, the file beside the image that is called after it, as in ``he_imagealignment.csv``.
    spots
        ``("um", size)`` counts transcripts in spots of this size, which touch and do not overlap; every transcript falls into
        exactly one. ``"cells"`` takes segmented cells and the counts that Xenium made of them.
    lattice
        ``"hex"``: spots are hexagons, six neighbors; ``"square"``: four.
    min_qv
        Least quality of a transcript. The counts of cells were made with 20.
    slide
        Slide id; made from the name of the folder if None.
    patient
        Patient id.
    store
        New zarr store to write to. The image is decoded into it square by square, never as a whole.

    Returns
    -------
    SpatialData
        The slide with positions in pixels of the H&E image and its scale in micrometers per pixel. Cells keep their ids, in
        ``obs["spot_id"]``, their columns, and the size of the circle of their area. Without an H&E image a pixel is a
        micrometer.

    Raises
    ------
    FileNotFoundError
        If a file that is needed is missing.
    FileExistsError
        If the store exists.
    TypeError, ValueError
        If an option cannot be what it is, a file is damaged, cells of two files are not the same, or more than a tenth of the
        spots lie outside of the image.

    Warns
    -----
    UserWarning
        If there is no H&E image, landmarks do not agree, the image says another scale than its alignment, or some spots lie
        outside.

    Notes
    -----
    Controls (negative, blank, genomic), unassigned and deprecated codewords are left out, as are transcripts of low quality.
    How many, the alignment, and the residual of landmarks in um are logged and stay in
    ``sdata.attrs["spatialhist"]["slides"][slide]["xenium"]``. Transcripts are read part by part; memory grows with spots x
    genes that were found, not with transcripts.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_xenium(
    ...     "output-XETG",
    ...     image="he_image.ome.tif",
    ...     alignment="he_imagealignment.csv",
    ...     patient="P1",
    ...     store="xenium.zarr",
    ... )  # doctest: +SKIP
    """
    from spatialhist.io._assembly.cohort import assemble, check_new
    from spatialhist.io._assembly.slide import check_slide_id, sample_id
    from spatialhist.io._xenium_files.files import find_files
    from spatialhist.io._xenium_files.he_image import find_image
    from spatialhist.io._xenium_files.slide import build_spots
    from spatialhist.io._xenium_files.spots import check_spots_option, read_spots

    path = Path(path)
    name = sample_id(path) if slide is None else slide
    check_new(store)
    check_slide_id(name)
    spacing = check_spots_option(spots, lattice, min_qv)
    files = find_files(path)
    picture = find_image(files, *(None if given is None else Path(given) for given in (image, alignment)))
    if picture is None:
        warnings.warn(
            f"slide {name!r} has no H&E image, so nothing can be trained on it or predicted: the images in {path} are "
            "fluorescence. Give the H&E image of the section as image=, and what Xenium Explorer exports for it as alignment=",
            UserWarning,
            stacklevel=2,
        )
    pixels = None if picture is None else picture.open()
    found = read_spots(files, spacing, lattice, min_qv)
    if picture is not None:
        picture.check(found.centers_um, float(np.median(found.diameter_um)) / 2, pixels, name)
        pixels = pixels if store is not None else picture.in_memory(pixels)
    placed = None if picture is None else picture.alignment
    sdata = assemble([build_spots(found, placed, pixels, name, patient)], store)
    _log(sdata, found, picture, name, path)
    return sdata


def _log(sdata: SpatialData, found: Spots, picture: HeImage | None, slide: str, path: Path) -> None:
    logger.info("read slide %r with %d spots and %d genes from %s", slide, *sdata[_keys.TABLE].shape, path)
    logger.info("slide %r: %s", slide, found.tally)
    if picture is not None:
        logger.info("slide %r: H&E image %s, %s", slide, picture.path, picture.alignment)
