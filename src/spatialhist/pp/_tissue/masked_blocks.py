"""Applying a function to a lazy image block by block, with the tissue mask looked up on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da

BlockFunction = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""``(block (c, y, x), mask, row of the mask per y, column of the mask per x) -> block``."""


def map_masked(image: da.Array, mask: np.ndarray, factors: tuple[float, float], function: BlockFunction) -> da.Array:
    """Apply a function to every block of an image without ever enlarging the mask.

    Parameters
    ----------
    image
        ``(c, y, x)`` uint8; its blocks hold all channels.
    mask
        Boolean ``(y, x)`` at any resolution.
    factors
        Image pixels per mask pixel, ``(x, y)``.
    function
        What is done to a block.
    """
    whole = image.rechunk({0: -1})
    return whole.map_blocks(_apply, mask, factors, function, dtype=image.dtype, meta=np.empty((0, 0, 0), image.dtype))


def _apply(
    block: np.ndarray,
    mask: np.ndarray,
    factors: tuple[float, float],
    function: BlockFunction,
    block_info: dict[Any, Any],
) -> np.ndarray:
    _, (top, bottom), (left, right) = block_info[0]["array-location"]
    rows = nearest(top, bottom, factors[1], mask.shape[0])
    columns = nearest(left, right, factors[0], mask.shape[1])
    return function(block, mask, rows, columns)


def nearest(start: int, stop: int, factor: float, size: int) -> np.ndarray:
    """Mask index under the center of each image pixel from ``start`` to ``stop``."""
    return np.clip(((np.arange(start, stop) + 0.5) / factor).astype(np.intp), 0, size - 1)


def has_tissue(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether a block touches tissue."""
    return bool(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].any())
