"""From pixels to what models look at: features around points, and statistics over a slide's own tissue."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.geometry import open_image, spot_pixels
from spatialhist._sdata.images import image_key, tissue_mask
from spatialhist._sdata.scale import scale
from spatialhist.tiles import FeatureCache, TileReader
from spatialhist.tl._data.context import Surroundings

if TYPE_CHECKING:
    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl._data.design import Design

logger = logging.getLogger(__name__)

MAX_TISSUE_POINTS = 256
MAX_GRID_POINTS = 4096
N_AVERAGED = 2
"""Features of the first extents are averaged over the surroundings; the wider ones show these themselves."""
SPACING = 2 / 3
"""Of the points whose features are averaged, in the smallest radius."""


@dataclass(frozen=True)
class SlideFeatures:
    """Features of one slide at some points of it.

    Attributes
    ----------
    points
        ``(n, 2)`` in full-resolution pixels.
    spots
        ``(n, F)`` around these, per extent.
    statistics
        Mean and deviation ``(2, F)`` over its tissue per extent, then per average over the surroundings, which has those of
        its extent.
    surroundings
        What is averaged.
    """

    points: np.ndarray
    spots: list[np.ndarray]
    statistics: list[np.ndarray]
    surroundings: Surroundings

    def blocks(self, rows: slice = slice(None)) -> list[np.ndarray]:
        """Features ``(n, F)`` of some of the points, per extent, then per average over their surroundings."""
        return [*(b[rows] for b in self.spots), *self.surroundings.around(self.points[rows])]


def tissue_points(mask: np.ndarray, factors: tuple[float, float], limit: int = MAX_TISSUE_POINTS) -> np.ndarray:
    """Points of a square grid that lie on tissue, ``(n, 2)`` as (x, y) in full-resolution pixels.

    The grid hangs on the image, not on spots, so that statistics taken there are the same for whichever spots are
    predicted. It is as fine as ``limit`` points allow.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("the tissue mask is empty: check it with sh.pl.alignment, or use another method= for it")
    step = max(1, int(np.sqrt(mask.sum() / limit)))
    while True:
        y, x = np.nonzero(mask[step // 2 :: step, step // 2 :: step])
        if len(x) <= limit:
            break
        step += 1
    if not len(x):
        y, x = (v[:1] for v in np.nonzero(mask))
        step = 1
    points = np.column_stack([x, y]) * step + step // 2 + 0.5
    return points * np.asarray(factors)


def slide_tissue(cohort: Cohort, slide: str) -> np.ndarray:
    """Points of :func:`tissue_points` of a slide.

    Raises
    ------
    ValueError
        Naming the slide, if its mask is empty.
    """
    try:
        return tissue_points(*tissue_mask(cohort.sdata, slide))
    except ValueError as error:
        raise ValueError(f"slide {slide!r}: {error}") from error


def check_slide(cohort: Cohort, slide: str, design: Design) -> None:
    """Refuse a slide without image, mask, scale or positions, before hours are spent on the others.

    Raises
    ------
    KeyError, ValueError
        With the way out.
    """
    image_key(cohort.sdata, slide, design.image)
    slide_tissue(cohort, slide)
    for extent in (*design.extents, *design.context):
        scale(cohort.sdata, slide).px(extent, slide)
    spot_pixels(cohort.sdata, cohort.table, slide, image_key(cohort.sdata, slide))


def slide_features(
    cohort: Cohort,
    slide: str,
    centers: np.ndarray,
    design: Design,
    encoder: Callable[..., Any],
    cache: Path | None,
    *,
    progress: bool = False,
) -> SlideFeatures:
    """Encode a slide around its spots and over its tissue, each extent in one pass over the pixels.

    Parameters
    ----------
    cohort
        The object.
    slide
        Slide id.
    centers
        Points ``(n, 2)`` in full-resolution pixels of the slide's image.
    design
        Extents, tile size and image.
    encoder
        From uint8 batch to features.
    cache
        Folder for features, None to keep none.
    progress
        Show a progress bar.
    """
    points = slide_tissue(cohort, slide)
    both = encode(cohort, slide, np.concatenate([centers, points]), design, encoder, cache, progress=progress)
    n = len(centers)
    around = _surroundings(cohort, slide, design, encoder, cache)
    statistics = [_statistics(b[n:].astype(np.float64)) for b in both]
    repeated = statistics[: len(around.features)] * len(around.radii)
    return SlideFeatures(centers, [b[:n] for b in both], [*statistics, *repeated], around)


def _surroundings(
    cohort: Cohort, slide: str, design: Design, encoder: Callable[..., Any], cache: Path | None
) -> Surroundings:
    """Encode a grid over a slide's tissue, for averages within the radii of the design."""
    radii = tuple(scale(cohort.sdata, slide).px(radius, slide) for radius in design.context)
    if not radii:
        return Surroundings(np.empty((0, 2)), [], ())
    mask, factors = tissue_mask(cohort.sdata, slide)
    wanted = mask.sum() * np.prod(factors) / (SPACING * min(radii)) ** 2
    points = tissue_points(mask, factors, int(np.clip(wanted, 1, MAX_GRID_POINTS)))
    near = replace(design, extents=design.extents[:N_AVERAGED])
    return Surroundings(points, encode(cohort, slide, points, near, encoder, cache), radii)


def encode(
    cohort: Cohort,
    slide: str,
    points: np.ndarray,
    design: Design,
    encoder: Callable[..., Any],
    cache: Path | None = None,
    *,
    progress: bool = False,
) -> list[np.ndarray]:
    """Features ``(n, F)`` around points of a slide's image, one array per extent."""
    key = image_key(cohort.sdata, slide, design.image)
    store = FeatureCache(cache)
    return [store.features(cohort.sdata, slide, s, encoder, points, image=key, progress=progress) for s in design.specs]


def _statistics(tissue: np.ndarray) -> np.ndarray:
    return np.stack([tissue.mean(axis=0), tissue.std(axis=0)]).astype(np.float32)


def slide_tiles(cohort: Cohort, slide: str, centers: np.ndarray, design: Design) -> np.ndarray:
    """Tiles ``(n, 3, pixels, pixels)`` uint8 of the networks that learn from pixels."""
    pyramid, extent_px = open_image(cohort.sdata, slide, design.tile_spec.extent, design.image)
    return TileReader(pyramid).read(centers, extent_px, design.tile_spec.pixels)


def relative_position(centers: np.ndarray, pitch: float | None) -> np.ndarray:
    """Positions relative to the center of the points, in pitches."""
    return (centers - centers.mean(axis=0)) / (pitch or 1.0)
