"""The only file that touches squidpy's stain functions, which are experimental; pure arrays."""

from __future__ import annotations

import numpy as np

from spatialhist._keys import CHANNELS
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.images import read_level
from spatialhist._sdata.slide import Slide
from spatialhist.pp._stain.reference import SHAPES, StainMethod, StainReference, array_of

MIN_ANGLE_DEG = 5.0
"""Stain vectors closer than this are one stain seen twice: taking them apart would only amplify noise."""


MIN_SPREAD = 0.05
"""Tissue whose lightness (log intensity times sqrt(3)) varies less than this is blank: noise would be blown up."""


NOT_H_AND_E = "from its canonical"
"""What squidpy says of stain vectors that are neither hematoxylin nor eosin."""


class StainError(ValueError):
    """The image holds no two stains that look like hematoxylin and eosin."""


def fit_stain(
    pixels: np.ndarray, tissue: np.ndarray, method: StainMethod, *, white_point: np.ndarray | None = None
) -> StainReference:
    """Fit the stain of an image.

    Parameters
    ----------
    pixels
        ``(y, x, 3)`` uint8.
    tissue
        Boolean ``(y, x)`` over the same area, at any resolution.
    method
        How.
    white_point
        Intensity without any stain ``(3,)``; pure white if None.

    Raises
    ------
    StainError
        If there is no tissue, or if what was found is not hematoxylin and eosin.
    """
    if not tissue.any():
        raise StainError("its tissue mask is empty")
    if method == "reinhard":
        _refuse_other_stains(pixels, tissue)
    found = _fit(pixels, tissue, method, white_point)
    _check_two_stains(found)
    return found


def _refuse_other_stains(pixels: np.ndarray, tissue: np.ndarray) -> None:
    """Refuse colors that are not those of hematoxylin and eosin; mean and spread alone would fit any picture."""
    try:
        _fit(pixels, tissue, "macenko", StainReference.canonical("macenko").white_point)
    except StainError as error:
        if NOT_H_AND_E in str(error):
            raise


def _fit(pixels: np.ndarray, tissue: np.ndarray, method: StainMethod, white_point: np.ndarray | None) -> StainReference:
    import dask.array as da
    import spatialdata as sd
    from spatialdata.models import Image2DModel, Labels2DModel

    with quiet():
        from squidpy.experimental.im import fit_stain_reference
        from squidpy.experimental.im._stain import StainFittingError

    # Lazy, because squidpy's float32 means lose digits on numpy arrays.
    planes = da.from_array(np.moveaxis(pixels, -1, 0), chunks=-1)
    image = Image2DModel.parse(planes, dims=("c", "y", "x"), c_coords=list(CHANNELS))
    labels = Labels2DModel.parse(tissue.astype(np.uint8), dims=("y", "x"))
    sdata = sd.SpatialData.init_from_elements({"image": image, "image_tissue": labels})
    try:
        fitted = fit_stain_reference(sdata, "image", method=method, white_point=white_point)
        return StainReference(method=method, **{name: getattr(fitted, name) for name in SHAPES})
    except (StainFittingError, ValueError) as error:
        raise StainError(str(error)) from error


def _check_two_stains(found: StainReference) -> None:
    if found.method == "reinhard":
        spread = array_of(found, "sigma")[0]
        if spread < MIN_SPREAD:
            raise StainError(f"its tissue has one color only (spread of lightness {spread:.3f})")
        return
    hematoxylin, eosin, _ = array_of(found, "stain_matrix").T
    # rounding takes the product of two unit vectors beyond 1
    angle = np.degrees(np.arccos(np.clip(hematoxylin @ eosin, -1, 1)))
    if angle < MIN_ANGLE_DEG:
        raise StainError(f"its two stain vectors are {angle:.1f} degrees apart, as if there were one stain only")


def basis_change(source: StainReference, target: StainReference) -> np.ndarray:
    """Return the 3x3 matrix that recolors optical densities: same amounts of stain, other stain vectors."""
    return array_of(target, "stain_matrix") @ np.linalg.pinv(array_of(source, "stain_matrix"))


def lab_transfer(source: StainReference, target: StainReference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what Reinhard's transfer does, as ``(rgb -> lms, slope, intercept)`` of log lms.

    Mean and standard deviation are matched in Lab, which is linear in log lms.
    """
    with quiet():
        from squidpy.experimental.im._stain import RUDERMAN_LAB_TO_LMS, RUDERMAN_LMS_TO_LAB, RUDERMAN_RGB_TO_LMS

    # an image without spread in a channel has nothing to stretch
    gain = array_of(target, "sigma") / np.maximum(array_of(source, "sigma"), 1e-6)
    slope = RUDERMAN_LAB_TO_LMS @ np.diag(gain) @ RUDERMAN_LMS_TO_LAB
    intercept = RUDERMAN_LAB_TO_LMS @ (array_of(target, "mu") - gain * array_of(source, "mu"))
    return RUDERMAN_RGB_TO_LMS, slope, intercept


def fit_pixels(slide: Slide, image: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the coarsest level ``(y, x, 3)`` of an image, and the tissue mask at its own resolution."""
    pyr = slide.image(image).pyramid
    return read_level(pyr, len(pyr.levels) - 1), slide.tissue[0]
