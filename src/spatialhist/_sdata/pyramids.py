"""Making the resolution levels of an image."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dask.array as da

CHUNKS = (3, 512, 512)
"""All channels in one: whatever reads pixels reads their color."""
MIN_LEVEL_PX = 512
"""The pyramid ends at the first level whose longer side is not above this."""
_STRIP = 256
"""Rows of a smaller level made at a time, so that sums of 16 bits need no second image in memory."""


def parse_image(image: np.ndarray | da.Array | Sequence[np.ndarray], placed: Mapping[str, Any]) -> Any:
    """Make an image element of ``(c, y, x)`` uint8 with its pyramid, or of the levels of one.

    A numpy array is not copied, and its levels are computed at once; those of a dask array stay lazy.

    Notes
    -----
    ``Image2DModel`` alone drops the first row or column of a level of odd size, which moves the next level by a
    pixel, and it computes every level from the full resolution when it is written. Here the last one is dropped.
    """
    from spatialdata.models import Image2DModel

    levels = _levels(image)
    element = Image2DModel.parse(
        levels[0],
        dims=("c", "y", "x"),
        c_coords=list(_keys.CHANNELS),
        scale_factors=[2] * (len(levels) - 1) or None,
        chunks=CHUNKS,
        transformations=dict(placed),
    )
    for i, level in enumerate(levels[1:], 1):
        element[f"scale{i}"]["image"].data = level
    return element


def _levels(image: np.ndarray | da.Array | Sequence[np.ndarray]) -> list[da.Array]:
    if isinstance(image, Sequence):
        return [_lazy(p) for p in image]
    # dask: chunks of even size first, so that no pair of pixels is torn apart when it is halved
    return [_lazy(p) for p in halved(image if isinstance(image, np.ndarray) else image.rechunk(CHUNKS))]


def halved(image: Any) -> Iterator[Any]:
    """Levels of an image, each half as wide and high as the one before."""
    yield image
    while max(image.shape[1:]) > MIN_LEVEL_PX and min(image.shape[1:]) > 1:
        image = _halve_any(image)
        yield image


def _lazy(pixels: np.ndarray | da.Array) -> da.Array:
    """Views of a numpy array as a dask array, which ``dask.array.from_array`` would copy as a whole."""
    import dask.array as da

    if not isinstance(pixels, np.ndarray):
        return pixels
    chunks = da.core.normalize_chunks(CHUNKS, pixels.shape)
    # by chance: hashing all pixels for a name would take as long as reading them
    name = f"pixels-{uuid.uuid4().hex}"
    positions = np.ndindex(*map(len, chunks))
    where = da.core.slices_from_chunks(chunks)
    blocks = {(name, *position): pixels[slices] for position, slices in zip(positions, where, strict=True)}
    return da.Array(blocks, name, chunks, meta=pixels)


def _halve_any(image: np.ndarray | da.Array) -> np.ndarray | da.Array:
    if isinstance(image, np.ndarray):
        return halve(image)
    smaller = (image.chunks[0], *(tuple(n // 2 for n in axis) for axis in image.chunks[1:]))
    return image.map_blocks(halve, chunks=smaller, dtype=np.uint8).rechunk(CHUNKS)


def halve(image: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels of ``(c, y, x)`` uint8, rounding half up; an odd last row or column is dropped."""
    channels, height, width = image.shape[0], image.shape[1] // 2, image.shape[2] // 2
    half = np.empty_like(image, shape=(channels, height, width))
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        strip = image[:, 2 * top : 2 * bottom, : 2 * width].astype(np.uint16)
        rows = strip[:, 0::2] + strip[:, 1::2]
        half[:, top:bottom] = (rows[:, :, 0::2] + rows[:, :, 1::2] + 2) >> 2
    return half
