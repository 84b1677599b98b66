"""Whole slides without spots: SVS, NDPI, TIFF, OME-TIFF, PNG, JPEG."""

from __future__ import annotations

import logging
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

MPP_TOLERANCE = 1.1
"""Factor between a given and the recorded scale from which on the difference is told."""


def read_wsi(
    path: str | Path,
    *,
    slide: str | None = None,
    mpp: float | None = None,
    patient: str | None = None,
    store: str | Path | None = None,
    progress: bool = True,
) -> SpatialData:
    """Read a whole slide that has no spots, to be predicted by :func:`spatialhist.tl.predict_grid`.

    Parameters
    ----------
    path
        SVS, NDPI, SCN, QPTIFF, TIFF or OME-TIFF, PNG or JPEG. Of several images in a file the largest is the slide.
    slide
        Slide id; made from the name of the file if None.
    mpp
        Micrometers per pixel, used instead of those in the file; those of the file if None (scanners' records are read through
        tiffslide).
    patient
        Patient id.
    store
        New zarr store. The slide is decoded into it square by square, never as a whole (a PNG or JPEG has to be, and a
        TIFF of one compressed strip). Without it a TIFF is decoded again whenever pixels are needed, which is for small
        ones.
    progress
        Show a progress bar while the store is written.

    Returns
    -------
    SpatialData
        SpatialData with ``images["<slide>_full_image"]`` in coordinate system ``<slide>``, its scale (and patient) in
        ``attrs``, and no table, since there are no spots.

    Raises
    ------
    FileNotFoundError, FileExistsError
        If there is no such file, or the store exists.
    ValueError
        If the file holds no RGB or gray plane of 8 or 16 bits, is too large, or says nothing of its scale and ``mpp`` is
        None.

    Notes
    -----
    Of 16 bits the lowest 8, 10, 12, 14 or 16 are taken for the whole range, whichever hold what 8 squares of the slide
    show. Alpha is laid on white, tiles that the scanner left out are white.

    Examples
    --------
    >>> import numpy as np, tempfile, tifffile, spatialhist as sh
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tifffile.imwrite(f"{folder}/biopsy 7.tif", np.full((60, 80, 3), 255, dtype=np.uint8))
    ...     sdata = sh.io.read_wsi(f"{folder}/biopsy 7.tif", mpp=0.5, store=f"{folder}/s.zarr", progress=False)
    ...     list(sdata.images)
    ['biopsy_7_full_image']
    """
    from dask.diagnostics import ProgressBar

    from spatialhist.io._assembly.cohort import check_new, write_store
    from spatialhist.io._assembly.slide import check_slide_id
    from spatialhist.io._images.image_file import read_image

    path = Path(path)
    check_new(store)
    if not path.is_file():
        raise FileNotFoundError(f"no image {path}")
    # up to the first dot, as of .ome.tif
    name = slide or _keys.sanitize(path.name.split(".")[0]).strip("_.-") or "S1"
    check_slide_id(name)
    pixels = read_image(path)
    sdata = _build(pixels, name, _choose_mpp(mpp, path), patient)
    if store is not None:
        try:
            with ProgressBar() if progress else nullcontext():
                sdata = write_store(sdata, Path(store))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} cannot be decoded: {error}") from error
    logger.info("read slide %r of %d x %d pixels from %s", name, pixels.shape[2], pixels.shape[1], path)
    return sdata


def _choose_mpp(given: float | None, path: Path) -> float:
    """Micrometers per pixel as the caller says, else as the file says."""
    if given is not None and not 0 < given < np.inf:
        raise ValueError(f"mpp={given} must be positive")
    found, says = _recorded_mpp(path, given)
    if given is None:
        if found is None:
            raise ValueError(f"{path} {says}: pass mpp=, micrometers per pixel (about 0.25 at 40x, 0.5 at 20x)")
        return found
    if found is not None and not 1 / MPP_TOLERANCE < given / found < MPP_TOLERANCE:
        warnings.warn(f"{path} says {found:g} um per pixel; mpp={given:g} is taken", stacklevel=3)
    return float(given)


def _recorded_mpp(path: Path, given: float | None) -> tuple[float | None, str]:
    """Scale by the file, or what is wrong with it; nothing that the file says can keep a given one from being taken."""
    from spatialhist.io._images.image_file import MPP_RANGE, read_mpp

    try:
        found = read_mpp(path)
    except ImportError:
        if given is None:
            raise
        return None, "is not asked for its scale"
    except ValueError as error:
        return None, str(error)
    if found is None:
        return None, "does not say its scale"
    if not MPP_RANGE[0] <= found <= MPP_RANGE[1]:
        return None, f"says {found:g} um per pixel, which no microscope has"
    return found, ""


def _build(pixels: Any, slide: str, mpp: float, patient: str | None) -> SpatialData:
    import spatialdata as sd
    from spatialdata.transformations import Identity

    from spatialhist._sdata.pyramids import parse_image
    from spatialhist._sdata.scale import slide_info

    sdata = sd.SpatialData.init_from_elements({_keys.image(slide): parse_image(pixels, {slide: Identity()})})
    slide_info(sdata, slide).update(mpp=mpp, **({} if patient is None else {_keys.PATIENT: patient}))
    return sdata
