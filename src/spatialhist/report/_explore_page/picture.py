"""Where the spots of a slide lie, and the H&E image under them."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialhist._sdata.images import read_overview
from spatialhist._sdata.slide import Slide, SlideImage
from spatialhist.pl._draw.panels import drawn_diameter

QUALITY = 80
"""Of JPEG: stain and nuclei look as they did, at a twentieth of the size of the pixels."""


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
    picture: dict[str, Any] | None


def place(slide: Slide, image_px: int) -> Place:
    """Put the spots of a slide on its image; a slide without one is shown on white.

    Warns
    -----
    UserWarning
        If there is no image; it says why.
    """
    scale = slide.scale
    unit, spacing = scale.mpp or 1.0, scale.pitch_px or slide.spot_diameter_px
    lengths = (scale.mpp is not None, spacing * unit, drawn_diameter(slide) / 2 * unit)
    try:
        image = slide.image()
    except KeyError as error:
        warnings.warn(f"slide {slide.name!r} is shown without its H&E image: {error.args[0]}", stacklevel=4)
        return Place(slide.xy * unit, *lengths, None)
    return Place(slide.centers() * (image.px * unit), *lengths, _picture(image, image_px, image.px * unit))


def _picture(image: SlideImage, image_px: int, unit: float) -> dict[str, Any]:
    """An image as a data address, and its size in the unit of the spots."""
    from PIL import Image

    pixels, (x, y) = read_overview(image.pyramid, image_px)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    source = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return {"source": source, "width": pixels.shape[1] * x * unit, "height": pixels.shape[0] * y * unit}
