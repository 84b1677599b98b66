from __future__ import annotations

import copy
import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.images import Pyramid

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_BLOCK_PX = 256
"""Smaller chunks are read several at a time."""
MAX_CHUNK_PX = 2048
"""Chunks above this decode 12 MB for a tile, and are warned of."""


class PixelSource:
    """Pixels of the levels of one image, block by block.

    Blocks follow the chunks of the store. The source can be pickled (1 to 2 kB for an image in a store) and holds
    neither SpatialData nor, for an image in a store, dask. In a forked process the store is opened again.

    Parameters
    ----------
    pyramid
        Levels of the image. Those in a store are read from it; lazily computed ones are computed block by block,
        in the calling thread.

    Raises
    ------
    ValueError
        If the image is not of type uint8 with three channels.

    Warns
    -----
    UserWarning
        If the image is stored in chunks so large that reading one tile decodes megabytes.
    """

    def __init__(self, pyramid: Pyramid) -> None:
        self.stored = pyramid.stored is not None
        self.pyramid = replace(pyramid, levels=pyramid.stored or pyramid.levels)
        self._pid = os.getpid()
        channels, dtype = pyramid.levels[0].shape[0], pyramid.levels[0].dtype
        if channels != 3 or dtype != np.uint8:
            raise ValueError(
                f"image {pyramid.key!r} has {channels} channels of {dtype}: tiles need 3 of uint8 (r, g, b)"
            )
        if self.stored and min(self.chunk_shape(0)) > MAX_CHUNK_PX:
            warnings.warn(_large_chunks(pyramid.key, self.chunk_shape(0)), stacklevel=3)

    def shape(self, level: int) -> tuple[int, int]:
        """Height and width of a level."""
        return self.pyramid.levels[level].shape[1:]

    def chunk_shape(self, level: int) -> tuple[int, int]:
        """Height and width of the chunks of a level."""
        if self.stored:
            return self.pyramid.levels[level].chunks[1:]
        rows, columns = self.pyramid.levels[level].chunks[1:]
        return max(rows), max(columns)

    def block_shape(self, level: int) -> tuple[int, int]:
        """Height and width of the blocks that are read at once: whole chunks, several if they are small."""
        height, width = (size * -(-MIN_BLOCK_PX // size) for size in self.chunk_shape(level))
        return height, width

    def read_run(self, level: int, row: int, columns: Sequence[int]) -> list[np.ndarray]:
        """Read neighboring blocks of one row of blocks, each as ``(c, y, x)``."""
        height, width = self.block_shape(level)
        rows = slice(row * height, (row + 1) * height)
        left = columns[0] * width
        pixels = self.read(level, rows, slice(left, (columns[-1] + 1) * width))
        return [pixels[:, :, c * width - left : (c + 1) * width - left] for c in columns]

    def read(self, level: int, rows: slice, columns: slice) -> np.ndarray:
        """Read pixels ``(c, y, x)`` of a level; slices end at its border."""
        if os.getpid() != self._pid:
            self._reopen()
        part: Any = self.pyramid.levels[level][:, rows, columns]
        # Threads of dask would hang in a process forked from one that has used them.
        return part if self.stored else np.asarray(part.compute(scheduler="synchronous"))

    def _reopen(self) -> None:
        """Open the store again: a handle inherited from the parent shares its position in the file, or its loop."""
        self._pid = os.getpid()
        if self.stored and not _in_memory(self.pyramid.levels[0]):
            levels = copy.deepcopy(self.pyramid.levels)
            self.pyramid = replace(self.pyramid, levels=levels, stored=levels)

    def __getstate__(self) -> dict[str, Any]:
        """Lazy arrays may be computed by local functions, which the standard pickle refuses."""
        import cloudpickle

        pyramid = self.pyramid if self.stored else cloudpickle.dumps(self.pyramid)
        return {"stored": self.stored, "pyramid": pyramid}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import cloudpickle

        self.stored = state["stored"]
        self.pyramid = state["pyramid"] if self.stored else cloudpickle.loads(state["pyramid"])
        self._pid = os.getpid()


def _in_memory(array: Any) -> bool:
    from zarr.storage import MemoryStore

    return isinstance(array.store, MemoryStore)


def _large_chunks(key: str, chunk: tuple[int, int]) -> str:
    return (
        f"image {key!r} is stored in chunks of {chunk[0]} x {chunk[1]} pixels, and each tile decodes a whole one: write "
        f"it anew with Image2DModel.parse(..., chunks=(3, 512, 512))"
    )
