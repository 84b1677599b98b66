from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spatialhist._sdata.images import Pyramid
from spatialhist.tiles._blocks import BlockCache, Key, assemble, fetch
from spatialhist.tiles._plan import Plan, groups, make_plan, reading_order
from spatialhist.tiles._resample import mirror, resample
from spatialhist.tiles._source import PixelSource

WHITE = 255


class TileReader:
    """Read tiles of one image at any physical size, each block of the store decoded once.

    Tiles are read in the order in which they lie in the store, while the next blocks are decoded in a second thread.
    Memory is bounded by the cache, whatever the size of the slide.

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
    >>> from spatialhist._sdata.images import pyramid
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> reader = sh.tiles.TileReader(pyramid(sdata, "S1_full_image"))
    >>> reader.read(np.array([[300.0, 200.0]]), 150, 64).shape
    (1, 3, 64, 64)
    """

    def __init__(self, image: PixelSource | Pyramid, *, cache_mb: float = 256, cache: BlockCache | None = None) -> None:
        self.source = PixelSource(image) if isinstance(image, Pyramid) else image
        self.cache = cache or BlockCache(cache_mb * 1e6)

    def read(self, centers: np.ndarray, extent_px: float, pixels: int) -> np.ndarray:
        """Read tiles in the order of their centres.

        Parameters
        ----------
        centers
            ``(n, 2)``, (x, y) in full-resolution pixels; pixel ``j`` covers ``[j, j + 1)``.
        extent_px
            Side of the area that a tile shows, in full-resolution pixels.
        pixels
            Side of the tile.

        Returns
        -------
        ``(n, 3, pixels, pixels)`` uint8. What lies beyond the border is reflected; a tile without any part of the
        image is white.

        Raises
        ------
        ValueError
            If a centre is not finite.

        Notes
        -----
        A tile covers ``[c - extent_px / 2, c + extent_px / 2)``. It is made from the coarsest level that has as many
        pixels, which are copied where the scales agree (from ``floor(c - pixels / 2 + 0.5)`` on), averaged by area
        where there are more, and interpolated linearly where even the finest level has fewer.
        """
        tiles = np.empty((len(centers), 3, pixels, pixels), dtype=np.uint8)
        for index, part in self.iter(centers, extent_px, pixels):
            tiles[index] = part
        return tiles

    def iter(
        self, centers: np.ndarray, extent_px: float, pixels: int, batch: int = 256
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read tiles in the order of the store, at most `batch` at a time.

        Takes what `read` takes.

        Yields
        ------
        Positions in `centers` ``(k,)`` and their tiles ``(k, 3, pixels, pixels)``. Every position comes once.
        """
        plan = make_plan(self.source, centers, extent_px, pixels)
        max_blocks = self._max_blocks(plan)
        order = reading_order(plan, max_blocks)
        parts = groups(plan, order, batch=batch, max_blocks=max(1, max_blocks // 4))
        for index, blocks in self._fetch_ahead(plan.level, parts):
            yield index, _cut(plan, index, blocks)

    def order(self, centers: np.ndarray, extent_px: float, pixels: int) -> np.ndarray:
        """Return the order of positions in which `iter` reads."""
        plan = make_plan(self.source, centers, extent_px, pixels)
        return reading_order(plan, self._max_blocks(plan))

    def _max_blocks(self, plan: Plan) -> int:
        height, width = plan.block_shape
        return max(1, int(self.cache.max_bytes) // (3 * height * width))

    def _fetch_ahead(
        self, level: int, parts: Iterator[tuple[np.ndarray, set[Key]]]
    ) -> Iterator[tuple[np.ndarray, dict[Key, np.ndarray]]]:
        """Fetch the blocks of the next group while the caller works on this one."""
        following = next(parts, None)
        if following is None:
            return
        index, keys = following
        blocks = fetch(self.source, level, keys, self.cache)
        with ThreadPoolExecutor(1) as pool:
            for ahead, keys in parts:
                pending = pool.submit(fetch, self.source, level, keys, self.cache)
                yield index, blocks
                index, blocks = ahead, pending.result()
        yield index, blocks


def _cut(plan: Plan, index: np.ndarray, blocks: dict[Key, np.ndarray]) -> np.ndarray:
    """Cut some tiles of a plan out of their blocks."""
    pixels = plan.rows.pixels
    tiles = np.full((len(index), 3, pixels, pixels), WHITE, dtype=np.uint8)
    shown = np.flatnonzero(~plan.outside[index])
    if plan.rows.copies and plan.columns.copies:
        for k in shown:
            _fill(tiles[k], plan, index[k], blocks)
        return tiles
    window = np.empty((3, plan.rows.size, plan.columns.size), dtype=np.uint8)
    rows, row_weights = plan.rows.weights(index)
    columns, column_weights = plan.columns.weights(index)
    for k in shown:
        _fill(window, plan, index[k], blocks)
        resample(window, rows[k], row_weights[k], columns[k], column_weights[k], tiles[k])
    return tiles


def _fill(window: np.ndarray, plan: Plan, i: int, blocks: dict[Key, np.ndarray]) -> None:
    """Put the pixels of one tile's window together, reflected where it reaches over the border."""
    rows, columns = plan.row_span[i].tolist(), plan.column_span[i].tolist()
    top, left = int(plan.first_row[i]), int(plan.first_column[i])
    bottom, right = top + window.shape[1], left + window.shape[2]
    if rows == [top, bottom] and columns == [left, right]:
        return assemble(blocks, plan.block_shape, rows, columns, window)
    part = np.empty((3, rows[1] - rows[0], columns[1] - columns[0]), dtype=np.uint8)
    assemble(blocks, plan.block_shape, rows, columns, part)
    y = mirror(np.arange(top, bottom), plan.shape[0]) - rows[0]
    x = mirror(np.arange(left, right), plan.shape[1]) - columns[0]
    window[:] = part[:, y[:, None], x]
