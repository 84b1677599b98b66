"""A slide at a low resolution, with its tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.images import image_key, pyramid, read_overview, tissue_mask
from spatialhist.pp._tissue.find import OVERVIEW_PX, find_tissue
from spatialhist.pp._tissue.masked_blocks import nearest

if TYPE_CHECKING:
    from spatialdata import SpatialData


def overview(sdata: SpatialData, slide: str) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Read pixels ``(y, x, 3)`` and tissue ``(y, x)``, and image pixels per pixel of them, ``(x, y)``.

    Tissue is the slide's mask; where there is none, it is found and not kept.
    """
    key = image_key(sdata, slide)
    pixels, factors = read_overview(pyramid(sdata, key), OVERVIEW_PX)
    if _keys.tissue(key) not in sdata.labels:
        return pixels, find_tissue(sdata, slide), factors
    mask, (x, y) = tissue_mask(sdata, slide)
    rows = nearest(0, pixels.shape[0], y / factors[1], mask.shape[0])
    columns = nearest(0, pixels.shape[1], x / factors[0], mask.shape[1])
    return pixels, mask[rows][:, columns], factors
