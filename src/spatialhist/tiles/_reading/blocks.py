"""Decoded blocks of pixels: fetched in runs, kept while there is space, put together to windows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import count, groupby
from typing import Any

import numpy as np

from spatialhist.tiles._reading.source import PixelSource

Key = tuple[int, int]
"""Row and column of a block."""
MAX_RUN = 4
"""Blocks that are decoded by one call, and dropped together because they share memory."""


class BlockCache:
    """Decoded blocks up to a number of bytes, the least recently used run dropped first; pickled without them."""

    def __init__(self, max_bytes: float) -> None:
        self.max_bytes = max_bytes
        self._runs: dict[int, dict[Any, np.ndarray]] = {}
        self._run_of: dict[Any, int] = {}
        self._bytes = 0
        self._count = count()
        self._lock = threading.Lock()

    def get(self, key: Any) -> np.ndarray | None:
        """Return a block, its run now the most recently used, or None."""
        with self._lock:
            number = self._run_of.get(key)
            if number is None:
                return None
            # taken out and put back: a dict keeps the order of insertion, the least recently used first
            run = self._runs[number] = self._runs.pop(number)
            return run[key]

    def put(self, run: dict[Any, np.ndarray]) -> None:
        """Keep blocks that were decoded together, and drop the oldest runs until all fit."""
        with self._lock:
            number = next(self._count)
            self._runs[number] = run
            self._run_of.update(dict.fromkeys(run, number))
            self._bytes += _size(run)
            # a run larger than the cache goes at once, too: the caller holds it
            while self._bytes > self.max_bytes:
                self._drop(next(iter(self._runs)))

    def _drop(self, number: int) -> None:
        run = self._runs.pop(number)
        self._bytes -= _size(run)
        for key in run:
            # Another thread may have decoded the block as well, and kept it in a later run.
            if self._run_of.get(key) == number:
                del self._run_of[key]

    def __reduce__(self) -> tuple[type, tuple[float]]:
        return BlockCache, (self.max_bytes,)


def _size(run: dict[Any, np.ndarray]) -> int:
    return sum(block.nbytes for block in run.values())


def fetch(source: PixelSource, level: int, keys: set[Key], cache: BlockCache) -> dict[Key, np.ndarray]:
    """Return the blocks of a level; what is not in the cache is read, neighbors at once."""
    name = (source.pyramid.key, level)
    found = {key: cache.get((*name, key)) for key in keys}
    blocks = {key: block for key, block in found.items() if block is not None}
    for row, columns in _runs(sorted(keys - blocks.keys())):
        run = {(row, c): block for c, block in zip(columns, source.read_run(level, row, columns), strict=True)}
        blocks.update(run)
        cache.put({(*name, key): block for key, block in run.items()})
    return blocks


def _runs(keys: Sequence[Key]) -> Iterator[tuple[int, list[int]]]:
    """Neighboring blocks of one row, at most `MAX_RUN` of them."""
    for _, group in groupby(enumerate(keys), lambda item: (item[1][0], item[1][1] - item[0])):
        run = [key for _, key in group]
        for i in range(0, len(run), MAX_RUN):
            yield run[0][0], [column for _, column in run[i : i + MAX_RUN]]


def assemble(
    blocks: dict[Key, np.ndarray], block_shape: tuple[int, int], rows: Sequence[int], columns: Sequence[int],
    out: np.ndarray,
) -> None:  # fmt: skip
    """Copy rows and columns ``[from, to)`` of a level from its blocks into `out` ``(c, y, x)``."""
    height, width = block_shape
    for r in range(rows[0] // height, (rows[1] - 1) // height + 1):
        top, bottom = max(rows[0], r * height), min(rows[1], (r + 1) * height)
        for c in range(columns[0] // width, (columns[1] - 1) // width + 1):
            left, right = max(columns[0], c * width), min(columns[1], (c + 1) * width)
            part = blocks[r, c][:, top - r * height : bottom - r * height, left - c * width : right - c * width]
            out[:, top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]] = part
