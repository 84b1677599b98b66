"""Drawing what the pixels of a slide show, in the slide's coordinate system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.geometry import apply
from spatialhist._sdata.images import read_overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatialhist._sdata.slide import Slide, SlideImage

Window = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

OVERVIEW_PX = 700
DETAIL_PX = 500


def draw_overview(ax: Axes, image: SlideImage) -> None:
    """Draw a whole image."""
    pyr = image.pyramid
    pixels, _ = read_overview(pyr, OVERVIEW_PX)
    (x0, y0), (x1, y1) = apply(image.to_slide, np.array([(0, 0), (pyr.width, pyr.height)]))
    ax.imshow(pixels[..., :3], extent=(x0, x1, y1, y0), interpolation="antialiased")


def draw_detail(ax: Axes, image: SlideImage, window: Window) -> None:
    """Draw a window of an image at the level that fits; what lies outside the image is left out."""
    pixels, (x0, y0, x1, y1) = read_detail(image, window)
    ax.imshow(pixels, extent=(x0, x1, y1, y0), interpolation="antialiased")


def read_detail(image: SlideImage, window: Window) -> tuple[np.ndarray, Window]:
    """Pixels ``(y, x, 3)`` of a window at the level that fits, and the window they fill: less where the image ends."""
    pyr = image.pyramid
    corners = image.pixels(np.reshape(window, (2, 2))).clip(0, (pyr.width, pyr.height))
    level = pyr.level_for(float(np.ptp(corners, axis=0).max()) / DETAIL_PX)
    factors = np.array(pyr.factors[level])
    (x0, y0), (x1, y1) = np.round(corners / factors).astype(int)
    pixels = np.moveaxis(np.asarray(pyr.levels[level][:, y0:y1, x0:x1]), 0, -1)
    ends = apply(image.to_slide, np.array([(x0, y0) * factors, (x1, y1) * factors]))
    return pixels[..., :3], tuple(ends.ravel().tolist())


def draw_outline(ax: Axes, slide: Slide, color: str) -> np.ndarray:
    """Draw the border of the tissue; returns what lies on tissue as points ``(n, 2)``, none without a tissue mask."""
    if not slide.has_tissue:
        return np.empty((0, 2))
    mask, factors = slide.tissue
    step = -(-max(mask.shape) // OVERVIEW_PX)
    small = mask[::step, ::step]
    y, x = np.indices(small.shape) * step + step / 2
    xy = apply(slide.image().to_slide, np.column_stack([x.ravel(), y.ravel()]) * factors)
    if small.any() and not small.all():
        ax.contour(*xy.T.reshape(2, *small.shape), small, levels=[0.5], colors=color, linewidths=1)
    return xy[small.ravel()]


def window_of(points: np.ndarray, margin: float) -> Window:
    """Smallest window that holds some points and a margin around them; slides are mostly glass."""
    known = points[np.isfinite(points).all(axis=1)]
    return (*(known.min(axis=0) - margin), *(known.max(axis=0) + margin))


def fit_view(ax: Axes, window: Window) -> None:
    """Show a window, y downwards."""
    left, top, right, bottom = window
    ax.set(xlim=(left, right), ylim=(bottom, top))
