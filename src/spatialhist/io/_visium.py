"""Space Ranger output, through spatialdata-io."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatialdata import SpatialData


def read_visium(
    path: str | Path,
    *,
    slide: str = "S1",
    image: str | Path | None = None,
    patient: str | None = None,
    raw: bool = False,
    store: str | Path | None = None,
) -> SpatialData:
    """Read the output of Space Ranger 1 to 3 for one Visium slide.

    Parameters
    ----------
    path
        The ``outs`` folder: ``filtered_feature_bc_matrix.h5`` and ``spatial/``; file names may start with
        the sample's name, as those of downloads do.
    slide
        Slide id; it names the spots, the region in the table and the coordinate system.
    image
        Full-resolution image that Space Ranger was given (TIFF, JPEG or PNG). Without it the slide has only the small
        images of Space Ranger, to be chosen by ``image_key="S1_hires_image"``.
    patient
        Patient id.
    raw
        Read ``raw_feature_bc_matrix.h5``, which holds the spots off tissue too; ``obs["in_tissue"]`` tells them apart.
    store
        New zarr store to write to. A TIFF is decoded into it square by square, never as a whole.

    Returns
    -------
    SpatialData
        The slide as :func:`spatialdata_io.visium` names it, with thumbnail and scale (spots are 100 µm apart) added;
        with ``store``, the one read back from there. Genes of one symbol are numbered in the order of their ids.
        Features that are no genes are left out with a warning.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    FileExistsError
        If the store exists.
    ValueError
        If a spot has no position, or the image cannot be read.

    Warns
    -----
    UserWarning
        If spots lie outside of the image, or it is not as large as the one that Space Ranger was given. Steps that look
        at an image outside of which more than a tenth of the spots lie refuse the slide.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_visium("outs", slide="S1", image="slide.tif", patient="P1")  # doctest: +SKIP
    """
    from spatialhist.io._assembly.cohort import assemble, check_new
    from spatialhist.io._space_ranger.visium_part import read_part

    check_new(store)
    part = read_part(path, slide=slide, image=image, patient=patient, raw=raw, lazy=store is not None)
    return assemble([part], store)
