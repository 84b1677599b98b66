"""Space Ranger output of Visium HD: bins of any size, and cells."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._space_ranger.files import SpaceRangerFiles

logger = logging.getLogger(__name__)


def read_visium_hd(
    path: str | Path,
    *,
    bin_um: int | str = 8,
    image: str | Path | None = None,
    slide: str | None = None,
    patient: str | None = None,
    store: str | Path | None = None,
) -> SpatialData:
    """Read bins or cells of one Visium HD slide.

    Parameters
    ----------
    path
        The ``outs`` folder of Space Ranger 3 or 4, or one within it, such as ``square_008um``; file names may start with
        the sample's name, as those of downloads do. ``feature_slice.h5`` is not needed.
    bin_um
        Side of the bins in micrometers, 2, 8 or 16 or whatever else was made, or ``"cells"`` for those that Space Ranger 4
        segmented.
    image
        Full-resolution image that Space Ranger was given (TIFF, BTF, JPEG or PNG); the one in the folder if None
        (``microscope_image/`` or ``..._tissue_image.tif``). Where there is none the slide has only the small images of
        Space Ranger, to be chosen by ``image_key="S1_hires_image"``.
    slide
        Slide id; it names the spots, the region in the table and the coordinate system. If None, the name of the folder,
        without those that Space Ranger calls the same for every sample (``outs``).
    patient
        Patient id.
    store
        New zarr store. The image is decoded into it square by square, never as a whole. Without it a TIFF is decoded
        again whenever pixels are needed, which is for small ones.

    Returns
    -------
    SpatialData
        The slide, its counts sparse, with thumbnail and scale (``microns_per_pixel`` of the output); with ``store``, the
        one read back from there. A bin is a circle as wide as the bin; a cell is the circle of its area around its
        centroid, the area in ``obs["cell_area"]`` in square micrometers. Genes of one symbol are numbered in the order of
        their ids. Features that are no genes are left out with a warning.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    FileExistsError
        If the store exists.
    ValueError
        If there are no bins of this size (the message names those that there are), a file holds bins of another size or is
        broken or holds no genes, no barcode has a position, or the image cannot be read or is not the one that positions
        were measured on, so that more than a tenth of the spots lie outside.

    Warns
    -----
    UserWarning
        If barcodes have no position, which leaves them out, if bins are not as far apart as they are wide, or if some spots
        lie outside of the image.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_visium_hd("outs", bin_um=16, image="slide.btf", store="slide.zarr")  # doctest: +SKIP
    """
    from spatialhist.io._assembly.cohort import assemble, check_new
    from spatialhist.io._assembly.slide import check_slide_id, sample_id
    from spatialhist.io._space_ranger.hd_layout import find_microscope_image, output_folder, read_layout

    path = Path(path)
    name = sample_id(output_folder(path)) if slide is None else slide
    check_new(store)
    check_slide_id(name)
    files = read_layout(path).files(bin_um)
    picture = find_microscope_image(path) if image is None else Path(image)
    if picture is not None and not picture.is_file():
        raise FileNotFoundError(f"no image {picture}")
    sdata = assemble(_parts(files, bin_um, name, patient, picture), store)
    logger.info("read slide %r with %d spots and %d genes from %s", name, *sdata[_keys.TABLE].shape, path)
    return sdata


def _parts(
    files: SpaceRangerFiles, bin_um: int | str, slide: str, patient: str | None, image: Path | None
) -> Iterator[SpatialData]:
    """The slide, which nothing holds in memory once it is written."""
    from spatialhist.io._space_ranger.features import warn_other_features
    from spatialhist.io._space_ranger.hd_slide import read_bins, read_segmented
    from spatialhist.io._space_ranger.images import add_images, refuse_other_image

    cells = isinstance(bin_um, str)
    part = read_segmented(files, slide, patient) if cells else read_bins(files, int(bin_um), slide, patient)
    warn_other_features(files.counts)
    add_images(part, files, slide, image, lazy=True)
    if image is not None:
        refuse_other_image(part, slide, image)
    yield part
