"""Where the spots of a slide lie, and the H&E image under them."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.images import read_overview
from spatialhist.pl._draw.panels import SPOT_SHARE

if TYPE_CHECKING:
    from spatialhist._sdata.slide import Slide, SlideImage

QUALITY = 80
"""Of JPEG: stain and nuclei look as they did, at a twentieth of the size of the pixels."""


@dataclass(frozen=True)
class Picture:
    """An image as a data address, and its size in the unit of the spots."""

    source: str
    width: float
    height: float


@dataclass(frozen=True)
class Place:
    """A slide on the page.

    Attributes
    ----------
    xy
        Spot centers ``(n, 2)``, (x, y) from the upper left corner of the image, in micrometers where ``physical``, else in
        pixels; NaN where unknown.
    spacing, radius
        Distance of neighboring spots, and the radius they are shown with, in the same unit.
    picture
        The H&E image, None where the slide has none.
    """

    xy: np.ndarray
    physical: bool
    spacing: float
    radius: float
    picture: Picture | None


def place(slide: Slide, image_px: int) -> Place:
    """Put the spots of a slide on its image; a slide without one is shown on white.

    Warns
    -----
    UserWarning
        If there is no image; it says why.
    """
    scale = slide.scale
    unit, diameter = scale.mpp or 1.0, slide.spot_diameter_px
    spacing = scale.pitch_px or diameter
    lengths = (scale.mpp is not None, spacing * unit, _radius(scale.pitch_px, diameter) * unit)
    try:
        image = slide.image()
    except KeyError as error:
        warnings.warn(
            f"slide {slide.name!r} is shown without its H&E image: {error.args[0]}", UserWarning, stacklevel=4
        )
        return Place(slide.xy * unit, *lengths, None)
    return Place(slide.centers() * (image.px * unit), *lengths, _picture(image, image_px, image.px * unit))


def _radius(pitch: float | None, diameter: float) -> float:
    return (SPOT_SHARE * pitch if pitch else diameter) / 2


def _picture(image: SlideImage, image_px: int, unit: float) -> Picture:
    from PIL import Image

    pixels, (x, y) = read_overview(image.pyramid, image_px)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    source = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Picture(source, pixels.shape[1] * x * unit, pixels.shape[0] * y * unit)
