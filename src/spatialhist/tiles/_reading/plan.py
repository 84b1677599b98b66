"""Where tiles lie in a level, and in which order to read them so that each block is decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from spatialhist._runtime.checks import check_choice
from spatialhist.tiles._reading.blocks import Key
from spatialhist.tiles._reading.resample import Axis, mirror
from spatialhist.tiles._reading.source import PixelSource
from spatialhist.tiles._spec import PADDINGS


@dataclass(frozen=True)
class Plan:
    """Tiles of one size in one level; pairs are (row, column).

    Attributes
    ----------
    level
        Level of the pyramid.
    shape, block_shape
        Size of the level and of its blocks.
    pixels
        Side of the tiles.
    axes
        How pixels of the tiles are made from those of their windows; None where they are copied.
    window
        Size of the windows.
    first
        Where the windows start, ``(n, 2)``; may be negative.
    start, stop
        The part of the image that each tile needs, ``(n, 2)``.
    outside
        Tiles that show nothing of the image, ``(n,)``.
    padding
        How tiles go on beyond the border, ``"reflect"`` or ``"white"``.
    """

    level: int
    shape: tuple[int, int]
    block_shape: tuple[int, int]
    pixels: int
    axes: tuple[Axis, Axis] | None
    window: tuple[int, int]
    first: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    outside: np.ndarray
    padding: str


def make_plan(
    source: PixelSource, centers: np.ndarray, extent_px: float, pixels: int, padding: str = "reflect"
) -> Plan:
    """Plan tiles that cover ``[center - extent_px / 2, center + extent_px / 2)``.

    The coarsest level is taken that has at least as many pixels as asked for. Where it has as many, to within half a
    pixel over the tile, they are copied, from ``floor(center - pixels / 2 + 0.5)`` on.

    Raises
    ------
    ValueError
        If a center is not finite, a size is not positive or the padding is unknown.
    """
    centers = np.asarray(centers, dtype=np.float64).reshape(-1, 2)
    _check(source.pyramid.key, centers, extent_px, pixels, padding)
    level = source.pyramid.level_for(extent_px / pixels)
    shape, factors = source.shape(level), np.array(source.pyramid.factors[level][::-1])
    middle, extent = centers[:, ::-1] / factors, extent_px / factors
    # within half a pixel tiles are cut as they are: resampling would only blur them
    if (abs(extent - pixels) < 0.5).all():
        axes, window = None, (pixels, pixels)
        first = np.floor(middle - pixels / 2 + 0.5).astype(np.int64)
    else:
        rows, columns = (Axis(middle[:, i] - extent[i] / 2, extent[i] / pixels, pixels) for i in (0, 1))
        axes, window = (rows, columns), (rows.size, columns.size)
        first = np.stack([rows.first, columns.first], axis=1)
    outside = ((middle + extent / 2 <= 0) | (middle - extent / 2 >= shape)).any(axis=1)
    if padding == "white":
        outside |= ((first + window <= 0) | (first >= shape)).any(axis=1)
        start, stop = (np.clip(edge, 0, shape) for edge in (first, first + window))
    else:
        start, stop = _reflected(first, window, shape)
    return Plan(level, shape, source.block_shape(level), pixels, axes, window, first, start, stop, outside, padding)


def _check(key: str, centers: np.ndarray, extent_px: float, pixels: int, padding: str) -> None:
    lost = ~np.isfinite(centers).all(axis=1)
    if lost.any():
        raise ValueError(
            f"{lost.sum()} of {len(centers)} tile centers in image {key!r} are not finite, the first at position "
            f"{np.flatnonzero(lost)[0]}: drop such spots with sh.pp.filter_spots(sdata, min_counts=0, min_tissue=0)"
        )
    if not extent_px > 0 or pixels < 1:
        raise ValueError(f"extent_px={extent_px} and pixels={pixels} must be positive")
    check_choice("padding", padding, PADDINGS)


def _reflected(first: np.ndarray, window: tuple[int, int], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that windows need once they are reflected at the image's borders."""
    start, stop = first.copy(), first + window
    for i, axis in np.argwhere((start < 0) | (stop > shape)):
        index = mirror(np.arange(start[i, axis], stop[i, axis]), shape[axis])
        start[i, axis], stop[i, axis] = index.min(), index.max() + 1
    return start, stop


def reading_order(plan: Plan, max_blocks: int) -> np.ndarray:
    """Order tiles by rows of blocks, in bands so narrow that what neighboring rows share stays in the cache."""
    row, column = (plan.start // plan.block_shape).T
    tall = -(-plan.window[0] // plan.block_shape[0]) + 2
    band = column // max(1, max_blocks // tall)
    return np.lexsort([plan.start[:, 1], row, band])


def groups(plan: Plan, order: np.ndarray, *, batch: int, max_blocks: int) -> Iterator[tuple[np.ndarray, set[Key]]]:
    """Cut the order into groups of at most `batch` tiles that need at most `max_blocks` blocks (or hold one tile)."""
    group: list[int] = []
    keys: set[Key] = set()
    for i, needed in zip(order.tolist(), _needed(plan, order), strict=True):
        if group and (len(group) == batch or len(keys | needed) > max_blocks):
            yield np.array(group), keys
            group, keys = [], set()
        group.append(i)
        keys |= needed
    if group:
        yield np.array(group), keys


def needed_blocks(plan: Plan) -> set[Key]:
    """Return the blocks that the tiles of a plan need together."""
    return set().union(*_needed(plan, np.arange(len(plan.outside))))


def _needed(plan: Plan, order: np.ndarray) -> Iterator[set[Key]]:
    """Blocks of one tile after the other."""
    first, last = plan.start // plan.block_shape, (plan.stop - 1) // plan.block_shape
    for i in order.tolist():
        (top, left), (bottom, right) = first[i].tolist(), last[i].tolist()
        whole = product(range(top, bottom + 1), range(left, right + 1))
        yield set() if plan.outside[i] else set(whole)
