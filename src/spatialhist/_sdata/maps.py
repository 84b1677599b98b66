"""Maps of genes: images of few pixels and many channels, with the levels of a pyramid."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.elements import put_element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialdata import SpatialData

MIN_LEVEL_PX = 256
"""The pyramid ends at the first smaller level whose longer side is not above this."""


def add_map(sdata: SpatialData, key: str, values: np.ndarray, *, names: Sequence[str], image: str, step: float) -> None:
    """Add a map that covers an image; one of that name is replaced.

    Parameters
    ----------
    sdata
        The object.
    key
        Name of the map.
    values
        ``(genes, y, x)`` float32, NaN where nothing is known.
    names
        Of the genes.
    image
        Key of the image.
    step
        Pixels of the image per pixel of the map.
    """
    import dask.array as da
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale, get_transformation
    from spatialdata.transformations import Sequence as Chain

    levels = [values]
    while min(levels[-1].shape[1:]) > 1 and (len(levels) == 1 or max(levels[-1].shape[1:]) > MIN_LEVEL_PX):
        levels.append(halve_known(levels[-1]))
    to_image = Scale([step, step], axes=("x", "y"))
    placed = get_transformation(sdata.images[image], get_all=True)
    element = Image2DModel.parse(
        levels[0],
        dims=("c", "y", "x"),
        c_coords=list(names),
        scale_factors=[2] * (len(levels) - 1) or None,
        transformations={name: Chain([to_image, t]) for name, t in placed.items()},
    )
    for i, level in enumerate(levels[1:], 1):
        # Those that the parser makes lose what borders on the unknown.
        element[f"scale{i}"]["image"].data = da.from_array(level)
    put_element(sdata.images, key, element)


def halve_known(values: np.ndarray) -> np.ndarray:
    """Average the known values of 2 x 2 pixels; an odd last row or column is dropped."""
    genes, height, width = values.shape[0], values.shape[1] // 2, values.shape[2] // 2
    blocks = values[:, : 2 * height, : 2 * width].reshape(genes, height, 2, width, 2)
    with warnings.catch_warnings():
        # four unknown pixels make an unknown one, which is what is wanted
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.asarray(np.nanmean(blocks, axis=(2, 4), dtype=np.float32))
