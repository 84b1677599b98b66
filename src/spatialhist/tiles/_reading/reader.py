from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.cohort import get_slide
from spatialhist._sdata.images import Pyramid
from spatialhist.tiles._reading.blocks import BlockCache, Key, assemble, fetch
from spatialhist.tiles._reading.plan import Plan, groups, make_plan, reading_order
from spatialhist.tiles._reading.resample import mirror, resample
from spatialhist.tiles._reading.source import PixelSource

if TYPE_CHECKING:
    from spatialdata import SpatialData

WHITE = 255
GROUP = 128
"""Tiles between two reads from the store."""
CUT = 32
"""Tiles that one of several threads resamples."""


class TileReader:
    """Read tiles of one image at any physical size, each block of the store decoded once.

    Tiles are read in the order in which they lie in the store, while the next blocks are decoded in a second thread.
    Memory is bounded by the cache, for slides of any size.

    Parameters
    ----------
    image
        The image; its levels may lie in a store, in memory, or be lazy.
    cache_mb
        Decoded blocks that are kept, in megabytes. Where not even one row of tiles fits, blocks at the seams are
        decoded twice.
    cache
        Share the blocks of other readers instead.

    Examples
    --------
    >>> import numpy as np, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> reader = sh.tiles.TileReader.open(sdata, "S1")
    >>> reader.read(np.array([[300.0, 200.0]]), 150, 64).shape
    (1, 3, 64, 64)
    """

    def __init__(self, image: PixelSource | Pyramid, *, cache_mb: float = 256, cache: BlockCache | None = None) -> None:
        self.source = PixelSource(image) if isinstance(image, Pyramid) else image
        self.cache = cache or BlockCache(cache_mb * 1e6)

    @classmethod
    def open(cls, sdata: SpatialData, slide: str, *, image: str | None = None, cache_mb: float = 256) -> TileReader:
        """Return the reader of an image of a slide.

        Parameters
        ----------
        sdata
            The object.
        slide
            Slide id.
        image
            Which image, as :class:`TileDataset` takes it.
        cache_mb
            Decoded blocks that are kept, in megabytes.

        Raises
        ------
        KeyError
            If there is no such image.
        """
        return cls(get_slide(sdata, slide).image(image).pyramid, cache_mb=cache_mb)

    def read(self, centers: np.ndarray, extent_px: float, pixels: int, *, padding: str = "reflect") -> np.ndarray:
        """Read tiles in the order of their centers.

        Parameters
        ----------
        centers
            ``(n, 2)``, (x, y) in full-resolution pixels; pixel ``j`` covers ``[j, j + 1)``.
        extent_px
            Side of the area that a tile shows, in full-resolution pixels.
        pixels
            Side of the tile.
        padding
            Beyond the border of the image, ``"reflect"`` it or go on in ``"white"``.

        Returns
        -------
        ndarray
            ``(n, 3, pixels, pixels)`` uint8. A tile without any part of the image is white, with either padding.

        Raises
        ------
        ValueError
            If a center is not finite, a size is not positive or the padding is unknown.

        Notes
        -----
        A tile covers ``[c - extent_px / 2, c + extent_px / 2)``. It is made from the coarsest level that has as many
        pixels, which are copied where the scales agree (from ``floor(c - pixels / 2 + 0.5)`` on), averaged by area
        where there are more, and interpolated linearly where even the finest level has fewer.
        """
        tiles = np.empty((len(centers), 3, pixels, pixels), dtype=np.uint8)
        self.read_into(list(tiles), centers, extent_px, pixels, padding=padding)
        return tiles

    def read_into(
        self,
        tiles: Sequence[np.ndarray],
        centers: np.ndarray,
        extent_px: float,
        pixels: int,
        *,
        padding: str = "reflect",
    ) -> None:
        """Do what `read` does, into arrays ``(3, pixels, pixels)`` that are there already."""
        plan = make_plan(self.source, centers, extent_px, pixels, padding)
        for index, blocks in self._groups(plan, GROUP):
            _cut(plan, index, blocks, [tiles[i] for i in index])

    def iter(
        self,
        centers: np.ndarray,
        extent_px: float,
        pixels: int,
        batch: int = 256,
        *,
        padding: str = "reflect",
        pool: Executor | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read tiles in the order of the store, at most `batch` at a time.

        Takes what `read` takes, and threads that share the work of resampling, None for this one alone.

        Yields
        ------
        tuple[ndarray, ndarray]
            Positions in `centers` ``(k,)`` and their tiles ``(k, 3, pixels, pixels)``. Every position comes once.
        """
        plan = make_plan(self.source, centers, extent_px, pixels, padding)
        for index, blocks in self._groups(plan, batch):
            tiles = np.empty((len(index), 3, pixels, pixels), dtype=np.uint8)
            if pool is None:
                _cut(plan, index, blocks, list(tiles))
            else:
                parts = [slice(i, i + CUT) for i in range(0, len(index), CUT)]
                list(pool.map(lambda part: _cut(plan, index[part], blocks, list(tiles[part])), parts))  # noqa: B023
            yield index, tiles

    def order(self, centers: np.ndarray, extent_px: float, pixels: int, *, padding: str = "reflect") -> np.ndarray:
        """Return the order of positions in which `iter` reads."""
        plan = make_plan(self.source, centers, extent_px, pixels, padding)
        return reading_order(plan, self.max_blocks(plan.block_shape))

    def max_blocks(self, block_shape: tuple[int, int]) -> int:
        """Return how many blocks of some size the cache holds, at least one."""
        height, width = block_shape
        return max(1, int(self.cache.max_bytes) // (3 * height * width))

    def _groups(self, plan: Plan, batch: int) -> Iterator[tuple[np.ndarray, dict[Key, np.ndarray]]]:
        """Fetch the blocks of one group of tiles while the caller works on the one before."""
        max_blocks = self.max_blocks(plan.block_shape)
        order = reading_order(plan, max_blocks)
        parts = groups(plan, order, batch=batch, max_blocks=max(1, max_blocks // 4))
        following = next(parts, None)
        if following is None:
            return
        index, keys = following
        blocks = fetch(self.source, plan.level, keys, self.cache)
        with ThreadPoolExecutor(1) as pool:
            for ahead, keys in parts:
                pending = pool.submit(fetch, self.source, plan.level, keys, self.cache)
                yield index, blocks
                index, blocks = ahead, pending.result()
        yield index, blocks


def _cut(plan: Plan, index: np.ndarray, blocks: dict[Key, np.ndarray], tiles: Sequence[np.ndarray]) -> None:
    """Fill `tiles` with some tiles of a plan."""
    if plan.axes is None:
        for tile, i in zip(tiles, index.tolist(), strict=True):
            _fill(tile, plan, i, blocks)
        return
    window = np.empty((3, *plan.window), dtype=np.uint8)
    (rows, row_weights), (columns, column_weights) = (axis.weights(index) for axis in plan.axes)
    for k, i in enumerate(index.tolist()):
        _fill(window, plan, i, blocks)
        resample(window, rows[k], row_weights[k], columns[k], column_weights[k], tiles[k])


def _fill(window: np.ndarray, plan: Plan, i: int, blocks: dict[Key, np.ndarray]) -> None:
    """Put the pixels of one tile's window together, reflected or white where it reaches over the border."""
    (top, left), (bottom, right), first = plan.start[i].tolist(), plan.stop[i].tolist(), plan.first[i].tolist()
    if plan.outside[i]:
        window[:] = WHITE
    elif [top, left] == first and (bottom - top, right - left) == plan.window:
        assemble(blocks, plan.block_shape, (top, bottom), (left, right), window)
    elif plan.padding == "white":
        window[:] = WHITE
        inside = window[:, top - first[0] : bottom - first[0], left - first[1] : right - first[1]]
        assemble(blocks, plan.block_shape, (top, bottom), (left, right), inside)
    else:
        part = np.empty((3, bottom - top, right - left), dtype=np.uint8)
        assemble(blocks, plan.block_shape, (top, bottom), (left, right), part)
        y = mirror(np.arange(first[0], first[0] + plan.window[0]), plan.shape[0]) - top
        x = mirror(np.arange(first[1], first[1] + plan.window[1]), plan.shape[1]) - left
        window[:] = part.take(y, axis=1).take(x, axis=2)
