"""Tissue of one slide at a low resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.images import read_overview
from spatialhist._sdata.known_scale import VISIUM_PITCH_UM
from spatialhist._sdata.scale import Scale
from spatialhist._sdata.slide import Slide
from spatialhist.pp._tissue.density import density_mask

MaskMethod = Literal["density", "otsu", "felzenszwalb", "weka"]


MaskFunction = Callable[[np.ndarray], np.ndarray]


OVERVIEW_PX = 2000
"""Masks are made on the finest level within this size: about 5 um a pixel on a capture area of 6.5 mm or more."""


UNKNOWN_UM = 6.0
"""Guess of micrometers per overview pixel where neither mpp nor spot spacing is known."""


def find_tissue(slide: Slide, method: MaskMethod | MaskFunction = "density") -> np.ndarray:
    """Tissue of one slide, boolean ``(y, x)`` over the whole image at a low resolution; adds nothing."""
    image = slide.image()
    pixels, (factor, _) = read_overview(image.pyramid, OVERVIEW_PX)
    if method == "density":
        return density_mask(pixels, um_per_px=um_per_px(slide.scale, factor * image.px))
    if isinstance(method, str):
        return _squidpy_mask(pixels, method)
    mask = np.asarray(method(pixels))
    if mask.shape != pixels.shape[:2]:
        raise ValueError(f"method returned shape {mask.shape} for an image of {pixels.shape[:2]}: it must be (y, x)")
    return mask.astype(bool)


def um_per_px(known: Scale, factor: float) -> float:
    """Micrometers per pixel of a level, which is as wide as ``factor`` pixels of the slide.

    Without mpp the spots are taken to be as far apart as Visium's.
    """
    if known.mpp:
        return known.mpp * factor
    return VISIUM_PITCH_UM / known.pitch_px * factor if known.pitch_px else UNKNOWN_UM


def _squidpy_mask(pixels: np.ndarray, method: str) -> np.ndarray:
    import spatialdata as sd
    from spatialdata.models import Image2DModel

    with quiet():
        from squidpy.experimental.im import detect_tissue

    image = Image2DModel.parse(np.moveaxis(pixels, -1, 0), dims=("c", "y", "x"), c_coords=list(_keys.CHANNELS))
    with quiet():
        found = sd.SpatialData.init_from_elements({"image": image})
        labels = detect_tissue(found, "image", method=method, inplace=False)
    return np.asarray(labels) > 0
