"""A slide at a low resolution, with its tissue."""

from __future__ import annotations

import numpy as np

from spatialhist._sdata.images import read_overview
from spatialhist._sdata.slide import Slide
from spatialhist.pp._tissue.find import OVERVIEW_PX, find_tissue
from spatialhist.pp._tissue.masked_blocks import nearest


def overview(slide: Slide) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Read pixels ``(y, x, 3)`` and tissue ``(y, x)``, and image pixels per pixel of them, ``(x, y)``.

    Tissue is the slide's mask; where there is none, it is found and not kept.
    """
    pixels, factors = read_overview(slide.image().pyramid, OVERVIEW_PX)
    if not slide.has_tissue:
        return pixels, find_tissue(slide), factors
    mask, (x, y) = slide.tissue
    rows = nearest(0, pixels.shape[0], y / factors[1], mask.shape[0])
    columns = nearest(0, pixels.shape[1], x / factors[0], mask.shape[1])
    return pixels, mask[rows][:, columns], factors
