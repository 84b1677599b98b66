"""An image that a caller hands in: pixels, an image element, or a slide without spots."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from spatialhist import _keys


def open_image(image: Any) -> tuple[Any, dict[str, Any]]:
    """Return pixels ``(3, y, x)`` uint8 or an image element, and what its object knows of the slide.

    Raises
    ------
    TypeError, ValueError
        If it is a path, holds several images, or no picture of a slide.
    """
    import spatialdata as sd

    from spatialhist._sdata.scale import slide_info
    from spatialhist.io._images.arrays import to_rgb8

    if isinstance(image, str | os.PathLike):
        raise TypeError(
            f"image={str(image)!r} is a path: pass the slide, sh.io.read_wsi({str(image)!r}), or its pixels"
        )
    if isinstance(image, sd.SpatialData):
        ends = _keys.image("")
        slides = [key.removesuffix(ends) for key in image.images if key.endswith(ends)]
        if len(slides) != 1:
            raise ValueError(
                f"image is an object with the images {sorted(image.images)}: pass one of them, as in sdata.images[...]"
            )
        return image.images[_keys.image(slides[0])], slide_info(image, slides[0])
    # a DataArray or a DataTree, the elements of spatialdata
    if hasattr(image, "dims") or hasattr(image, "children"):
        return image, {}
    return np.moveaxis(to_rgb8(image), -1, 0), {}
