"""Maps of genes: images of few pixels and many channels, with the levels of a pyramid."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.coordinates import transformations
from spatialhist._sdata.elements import put_element
from spatialhist._sdata.images import levels_of
from spatialhist._sdata.layers import MAX_LAYER_GB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dask.array import Array
    from spatialdata import SpatialData

MIN_LEVEL_PX = 256
"""The pyramid ends at the first smaller level whose longer side is not above this."""


def add_map(
    sdata: SpatialData, key: str, values: np.ndarray | Array, *, names: Sequence[str], image: str, step: float
) -> None:
    """Add a map that covers an image; one of that name is replaced.

    Parameters
    ----------
    sdata
        The object.
    key
        Name of the map.
    values
        ``(genes, y, x)`` float32, NaN where nothing is known; a dask array is computed when the map is read or saved, in
        chunks of an even number of pixels.
    names
        Of the genes.
    image
        Key of the image.
    step
        Pixels of the image per pixel of the map.
    """
    import dask.array as da
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale
    from spatialdata.transformations import Sequence as Chain

    halve = halve_known if isinstance(values, np.ndarray) else _halve_later
    levels = [values]
    while min(levels[-1].shape[1:]) > 1 and (len(levels) == 1 or max(levels[-1].shape[1:]) > MIN_LEVEL_PX):
        levels.append(halve(levels[-1]))
    to_image = Scale([step, step], axes=("x", "y"))
    element = Image2DModel.parse(
        levels[0],
        dims=("c", "y", "x"),
        c_coords=list(names),
        scale_factors=[2] * (len(levels) - 1) or None,
        transformations={name: Chain([to_image, t]) for name, t in transformations(sdata.images[image]).items()},
    )
    for i, level in enumerate(levels[1:], 1):
        # Those that the parser makes lose what borders on the unknown.
        element[f"scale{i}"]["image"].data = da.asarray(level)
    put_element(sdata.images, key, element)


def check_map_name(sdata: SpatialData, key: str) -> None:
    """Refuse the name of an image that is no map, which would be lost, in the store too.

    Raises
    ------
    ValueError
        If there is one.
    """
    if key in sdata.images and levels_of(sdata.images[key])[0].dtype.kind != "f":
        raise ValueError(f"sdata.images[{key!r}] is a picture, which a map would replace: choose another key_added=")


def check_map_size(shape: tuple[int, int], n_channels: int, *, advice: str, max_gb: float = MAX_LAYER_GB) -> None:
    """Refuse a map that would not fit into memory, before any work is done.

    Raises
    ------
    MemoryError
        If it would exceed the limit; the message gives its size.
    """
    size = shape[0] * shape[1] * n_channels * 4 / 1e9
    if size > max_gb:
        raise MemoryError(
            f"a map of {shape[1]:,} x {shape[0]:,} pixels and {n_channels:,} channels needs {size:.1f} GB, more than {max_gb:g} GB: "
            f"{advice}"
        )


def halve_known(values: np.ndarray) -> np.ndarray:
    """Average the known values of 2 x 2 pixels; an odd last row or column is dropped."""
    genes, height, width = values.shape[0], values.shape[1] // 2, values.shape[2] // 2
    blocks = values[:, : 2 * height, : 2 * width].reshape(genes, height, 2, width, 2)
    with warnings.catch_warnings():
        # four unknown pixels make an unknown one, which is what is wanted
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.asarray(np.nanmean(blocks, axis=(2, 4), dtype=np.float32))


def _halve_later(values: Array) -> Array:
    """Do the same chunk by chunk; chunks of the result are as large as those of the values."""
    genes, side = values.chunks[0], values.chunksize[1:]
    whole = values[:, : values.shape[1] // 2 * 2, : values.shape[2] // 2 * 2]
    halved = [tuple(n // 2 for n in chunks) for chunks in whole.chunks[1:]]
    return whole.map_blocks(halve_known, chunks=(genes, *halved), dtype=np.float32).rechunk((-1, *side))
