"""Tissue of one slide at a low resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.adopt import VISIUM_PITCH_UM
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.images import image_key, pyramid, read_overview
from spatialhist._sdata.scale import scale
from spatialhist.pp._tissue.density import density_mask

if TYPE_CHECKING:
    from spatialdata import SpatialData


MaskMethod = Literal["density", "otsu", "felzenszwalb", "weka"]


MaskFunction = Callable[[np.ndarray], np.ndarray]


OVERVIEW_PX = 2000
"""Masks are made on the finest level within this size: about 5 um a pixel on a capture area of 6.5 mm or more."""


UNKNOWN_UM = 6.0
"""Guess of micrometers per overview pixel where neither mpp nor spot spacing is known."""


def find_tissue(sdata: SpatialData, slide: str, method: MaskMethod | MaskFunction = "density") -> np.ndarray:
    """Tissue of one slide, boolean ``(y, x)`` over the whole image at a low resolution; adds nothing."""
    pyr = pyramid(sdata, image_key(sdata, slide))
    pixels, (factor, _) = read_overview(pyr, OVERVIEW_PX)
    if method == "density":
        return density_mask(pixels, um_per_px=um_per_px(sdata, slide, factor))
    if isinstance(method, str):
        return _squidpy_mask(pixels, method)
    mask = np.asarray(method(pixels))
    if mask.shape != pixels.shape[:2]:
        raise ValueError(f"method returned shape {mask.shape} for an image of {pixels.shape[:2]}: it must be (y, x)")
    return mask.astype(bool)


def um_per_px(sdata: SpatialData, slide: str, factor: float) -> float:
    """Micrometers per pixel of a level; without mpp the spots are taken to be as far apart as Visium's."""
    known = scale(sdata, slide)
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
