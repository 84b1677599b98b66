"""Where tiles lie in a level, and in which order to read them so that each block is decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from spatialhist.tiles._blocks import Key
from spatialhist.tiles._resample import Axis, make_axis, mirror
from spatialhist.tiles._source import PixelSource


@dataclass(frozen=True)
class Plan:
    """Tiles of one size in one level.

    Attributes
    ----------
    level
        Level of the pyramid.
    shape, block_shape
        Height and width of the level and of its blocks.
    rows, columns
        How tile pixels are made from those of the level.
    first_row, first_column
        Where the windows start, ``(n,)``; may be negative.
    row_span, column_span
        Pixels ``[from, to)`` of the level that each tile needs, ``(n, 2)``, within the image.
    outside
        Tiles that show nothing of the image, ``(n,)``.
    """

    level: int
    shape: tuple[int, int]
    block_shape: tuple[int, int]
    rows: Axis
    columns: Axis
    first_row: np.ndarray
    first_column: np.ndarray
    row_span: np.ndarray
    column_span: np.ndarray
    outside: np.ndarray


def make_plan(source: PixelSource, centers: np.ndarray, extent_px: float, pixels: int) -> Plan:
    """Plan tiles around `centers` ``(n, 2)``, (x, y) in full-resolution pixels.

    The coarsest level is taken that has at least as many pixels as asked for.

    Raises
    ------
    ValueError
        If a centre is not finite, or a size is not positive.
    """
    pyramid = source.pyramid
    centers = np.asarray(centers, dtype=np.float64).reshape(-1, 2)
    _check(pyramid.key, centers, extent_px, pixels)
    level = pyramid.level_for(extent_px / pixels)
    shape = source.shape(level)
    factor_x, factor_y = pyramid.factors[level]
    columns = make_axis(centers[:, 0] / factor_x, extent_px / factor_x, pixels)
    rows = make_axis(centers[:, 1] / factor_y, extent_px / factor_y, pixels)
    half, full = extent_px / 2, np.array([pyramid.width, pyramid.height])
    outside = ((centers + half <= 0) | (centers - half >= full)).any(axis=1)
    first_row, first_column = rows.first, columns.first
    row_span, column_span = _span(first_row, rows.size, shape[0]), _span(first_column, columns.size, shape[1])
    return Plan(
        level, shape, source.block_shape(level), rows, columns, first_row, first_column, row_span, column_span, outside
    )


def _check(key: str, centers: np.ndarray, extent_px: float, pixels: int) -> None:
    lost = ~np.isfinite(centers).all(axis=1)
    if lost.any():
        raise ValueError(
            f"{lost.sum()} of {len(centers)} tile centres in image {key!r} are not finite, the first at position "
            f"{np.flatnonzero(lost)[0]}: drop such spots with sh.pp.filter_spots(sdata)"
        )
    if not extent_px > 0 or pixels < 1:
        raise ValueError(f"extent_px={extent_px} and pixels={pixels} must be positive")


def _span(first: np.ndarray, window: int, size: int) -> np.ndarray:
    """Pixels that the windows need once they are reflected at the image's borders."""
    span = np.stack([first, first + window], axis=1)
    for i in np.flatnonzero((span[:, 0] < 0) | (span[:, 1] > size)):
        index = mirror(np.arange(*span[i]), size)
        span[i] = index.min(), index.max() + 1
    return span


def reading_order(plan: Plan, max_blocks: int) -> np.ndarray:
    """Order tiles by rows of blocks, in bands so narrow that what neighbouring rows share stays in the cache."""
    first, _ = _block_span(plan)
    tall = -(-plan.rows.size // plan.block_shape[0]) + 2
    band = first[:, 1] // max(1, max_blocks // tall)
    return np.lexsort([plan.column_span[:, 0], first[:, 0], band])


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
    first, last = _block_span(plan)
    for i in order.tolist():
        (top, left), (bottom, right) = first[i].tolist(), last[i].tolist()
        whole = product(range(top, bottom + 1), range(left, right + 1))
        yield set() if plan.outside[i] else set(whole)


def _block_span(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """First and last block of each tile, as (row, column)."""
    spans = np.stack([plan.row_span, plan.column_span], axis=-1)
    return spans[:, 0] // plan.block_shape, (spans[:, 1] - 1) // plan.block_shape
