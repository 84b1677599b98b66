"""What tiles need to know of a slide, taken out of SpatialData."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.geometry import scale
from spatialhist._sdata.images import affine, image_key, pyramid

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.images import Pyramid
    from spatialhist.tiles._spec import TileSpec


def open_image(sdata: SpatialData, slide: str, spec: TileSpec, image: str | None) -> tuple[Pyramid, float]:
    """Return an image of a slide and the side of a tile in full-resolution pixels of that image."""
    key = image_key(sdata, slide, image)
    # A thumbnail's pixels are larger than those of the slide, in which extents are given.
    size = np.sqrt(abs(np.linalg.det(affine(sdata.images[key], slide)[:2, :2])))
    return pyramid(sdata, key), scale(sdata, slide).px(spec.extent, slide) / float(size)
