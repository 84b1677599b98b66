"""Output of Xenium, with its H&E image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._xenium_files.spots import Lattice


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
    from spatialhist.io._xenium_files.part import read_part

    check_new(store)
    part = read_part(
        path,
        image=image,
        alignment=alignment,
        spots=spots,
        lattice=lattice,
        min_qv=min_qv,
        slide=slide,
        patient=patient,
        lazy=store is not None,
    )
    return assemble([part], store)
