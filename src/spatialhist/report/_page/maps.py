"""Genes on tissue as vector graphics: the H&E image of a slide is held once and drawn under every map of it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from spatialhist._sdata.slide import Slide
from spatialhist.pl._draw.panels import drawn_diameter
from spatialhist.pl._draw.style import EXPRESSION, MISSING, length_label, round_length
from spatialhist.pl._draw.tissue import Window, read_detail, window_of

SIDE = 1000
"""Units a map is wide."""
N_COLORS = 64
MOST_SPOTS = 5000
"""Spots drawn one by one; of more, squares are drawn with the mean of their spots."""
QUALITY = 80
"""Of JPEG, which takes a tenth of the time of WebP."""


@dataclass(frozen=True)
class Places:
    """Where values are drawn.

    Attributes
    ----------
    points
        In units of the map ``(m, 2)``.
    of_spot
        The point of each spot ``(n,)``; more than one spot has it where they are pooled.
    size
        Diameter of a dot, or side of a square.
    """

    points: np.ndarray
    of_spot: np.ndarray
    size: float

    @property
    def pooled(self) -> bool:
        """Whether spots share squares."""
        return len(self.of_spot) > len(self.points)

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean of the spots of every point; NaN where none has a value."""
        known = np.isfinite(values)
        size = len(self.points)
        total = np.bincount(self.of_spot[known], weights=values[known], minlength=size)
        counts = np.bincount(self.of_spot[known], minlength=size)
        return np.divide(total, counts, out=np.full(size, np.nan), where=counts > 0)


@dataclass(frozen=True)
class Tissue:
    """What all maps of a slide share.

    Attributes
    ----------
    key, name
        Id on the page, and of the slide.
    height
        In units; the width is :data:`SIDE`.
    source, window
        The H&E image as a data address, empty without one, and where it lies: x, y, width, height.
    bar, length
        Length of the scale bar in units, and in words.
    """

    key: str
    name: str
    height: int
    source: str
    window: tuple[float, ...]
    bar: float
    length: str
    places: Places


@dataclass(frozen=True)
class Map:
    """Values on tissue: what stands above them, and the dots of each color as an SVG path."""

    title: str
    dots: list[tuple[str, str]]


def make_tissue(slide: Slide, key: str) -> Tissue:
    """Place a slide's spots and its H&E image in a map."""
    window = window_of(slide.xy, 2 * slide.spot_diameter_px)
    left, top, right, bottom = window
    unit = SIDE / (right - left)
    places = make_places((slide.xy - (left, top)) * unit, unit * drawn_diameter(slide))
    source, lies = _picture(slide, window) if slide.has_image else ("", window)
    x0, y0, x1, y1 = (np.reshape(lies, (2, 2)) - (left, top)).ravel() * unit
    mpp = slide.scale.mpp
    length = round_length((right - left) * (mpp or 1.0) / 4)
    return Tissue(
        key,
        slide.name,
        round((bottom - top) * unit),
        source,
        tuple(round(v, 1) for v in (x0, y0, x1 - x0, y1 - y0)),
        length / (mpp or 1.0) * unit,
        length_label(length, mpp is not None),
        places,
    )


def make_places(points: np.ndarray, size: float) -> Places:
    """Every spot by itself, or squares of spots where there are too many to tell apart."""
    placed = np.isfinite(points).all(axis=1)
    if placed.sum() <= MOST_SPOTS:
        return Places(points, np.arange(len(points)), size)
    side = float(np.sqrt(np.prod(np.ptp(points[placed], axis=0)) / MOST_SPOTS))
    squares, of_placed = np.unique(points[placed] // side, axis=0, return_inverse=True)
    # a spot that lies nowhere goes to a point that is not drawn
    of_spot = np.full(len(points), len(squares))
    of_spot[placed] = of_placed.ravel()
    return Places(np.vstack([(squares + 0.5) * side, [np.nan, np.nan]]), of_spot, side)


def _picture(slide: Slide, window: Window) -> tuple[str, Window]:
    from PIL import Image

    pixels, lies = read_detail(slide.image(), window)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}", lies


def make_map(title: str, places: Places, values: np.ndarray, ends: tuple[float, float]) -> Map:
    """Draw values in the colors between two ends; gray where there is none."""
    placed = np.isfinite(places.points).all(axis=1)
    points, shown = places.points[placed], places.means(values)[placed]
    share = ((shown - ends[0]) / (ends[1] - ends[0])).clip(0, 1)
    # the last color is that of an unknown value
    level = np.rint(np.where(np.isfinite(share), share * (N_COLORS - 1), N_COLORS)).astype(int)
    palette = [*colors(N_COLORS), MISSING]
    return Map(title, [(palette[i], _path(points[level == i])) for i in np.unique(level).tolist()])


def _path(points: np.ndarray) -> str:
    """A dot per point; Safari draws no dot of length 0."""
    return "".join(f"M{x} {y}h.1" for x, y in np.rint(points).astype(int).tolist())


def colors(n: int) -> list[str]:
    """Colors from the lower to the higher end of a scale."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in colormaps[EXPRESSION](np.linspace(0, 1, n))]
