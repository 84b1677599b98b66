"""A slide from arrays in memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def from_arrays(
    image: Any,
    xy: Any,
    counts: Any = None,
    *,
    slide: str = "S1",
    patient: str | None = None,
    mpp: float | None = None,
    spot_diameter_px: float | None = None,
    genes: Sequence[str] | None = None,
    spot_ids: Sequence[int] | Sequence[str] | None = None,
    measured: bool = True,
) -> SpatialData:
    """Make a slide from an image, spot positions and counts.

    Parameters
    ----------
    image
        H&E pixels ``(y, x, 3)`` or ``(3, y, x)``, uint8 of 0..255 or float of [0, 1]. Gray images become three equal
        channels, an alpha channel is laid on white. Or a slide from :func:`read_wsi`, whose pixels stay in its store, or
        an image element.
    xy
        Spot centers ``(n, 2)``: x (column), then y (row), in pixels of ``image`` from its top left corner.
    counts
        Raw counts or abundances ``(n, genes)``: array, sparse matrix, or data frame with genes as columns. None for a
        slide to be predicted.
    slide
        Slide id; it names the spots, the region in the table and the coordinate system.
    patient
        Patient id; sections of one patient are kept together in cross-validation. That of a slide from
        :func:`read_wsi` if None.
    mpp
        Micrometers per pixel of ``image``; those of a slide from :func:`read_wsi` if None.
    spot_diameter_px
        Diameter of a spot; 0.55 times the distance of neighboring spots if None.
    genes
        Gene names in the order of the columns of ``counts``; the data frame's columns, or ``gene_0``, ``gene_1``, …,
        if None.
    spot_ids
        Integers or strings, one a spot; 0 to n-1 if None.
    measured
        False to keep the slide out of training although it has counts.

    Returns
    -------
    SpatialData
        The slide as a SpatialData in memory. Without counts ``X`` is 0 and ``obs["measured"]`` False.

    Raises
    ------
    TypeError
        If the image is neither uint8 nor float, the slide id is no text, or spot ids are neither integers nor strings.
    ValueError
        If shapes do not fit each other, an id repeats, or a value is missing or out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import spatialhist as sh
    >>> image = np.full((60, 80, 3), 255, dtype=np.uint8)
    >>> sdata = sh.io.from_arrays(image, [[20, 30], [40, 30]], np.array([[3, 0], [1, 5]]), genes=["ERBB2", "FASN"])
    >>> sdata["table"].to_df()
          ERBB2  FASN
    S1_0    3.0   0.0
    S1_1    1.0   5.0
    """
    from spatialhist.io._assembly.slide import check_centers, make_slide
    from spatialhist.io._images.given import open_image

    picture, known = open_image(image)
    centers = check_centers(xy, slide)
    values, names = _name_genes(counts, genes, len(centers))
    sdata = make_slide(
        picture,
        centers,
        values,
        slide=slide,
        genes=names,
        spot_ids=spot_ids,
        patient=known.get(_keys.PATIENT) if patient is None else patient,
        mpp=known.get("mpp") if mpp is None else mpp,
        spot_diameter_px=spot_diameter_px,
        measured=measured and counts is not None,
    )
    logger.info("made slide %r with %d spots and %d genes", slide, len(centers), len(names))
    return sdata


def _name_genes(counts: Any, genes: Sequence[str] | None, n: int) -> tuple[Any, list[str]]:
    from scipy import sparse

    if counts is None:
        names = [] if genes is None else list(genes)
        return sparse.csr_matrix((n, len(names)), dtype=np.float32), names
    if isinstance(counts, pd.DataFrame):
        names = list(counts.columns) if genes is None else list(genes)
        return counts.to_numpy(), [str(name) for name in names]
    values = counts if sparse.issparse(counts) else np.asarray(counts)
    if values.ndim != 2:
        raise ValueError(f"counts have shape {values.shape}; want (spots, genes)")
    return values, [f"gene_{i}" for i in range(values.shape[1])] if genes is None else list(genes)
