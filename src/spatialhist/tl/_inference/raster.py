"""A slide's tissue in pixels of a map, square by square, and the predictions of a square."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.executor import run_tasks
from spatialhist._runtime.files import load_array
from spatialhist._sdata.composition import as_composition
from spatialhist.tl._inference.blocks import Block, Result, block_name, keep_blocks

CELL = 32
"""Side in pixels of the map of what a model is handed at once. Cells lie at the same places in squares of any size, so
that models see the same arrays, and give the same bytes."""
MAX_SIDE = 128
MAX_SQUARE_MB = 256
"""Of the predictions of a square: with many genes squares are smaller."""


def square_side(n_genes: int) -> int:
    """Side of a square in pixels of the map, a multiple of :data:`CELL`."""
    fits = math.isqrt(int(MAX_SQUARE_MB * 1e6 / (4 * n_genes)))
    return min(MAX_SIDE, max(CELL, fits // CELL * CELL))


@dataclass(frozen=True)
class Square:
    """Pixels of a map that are predicted and stored together.

    Attributes
    ----------
    origin
        Row and column of its first pixel in the map.
    shape
        Rows and columns.
    bits
        Which pixels lie on tissue, row by row, eight a byte.
    """

    origin: tuple[int, int]
    shape: tuple[int, int]
    bits: bytes

    @property
    def tissue(self) -> np.ndarray:
        """Boolean ``(rows, columns)``."""
        n = self.shape[0] * self.shape[1]
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=n).astype(bool).reshape(self.shape)

    def pixels(self) -> np.ndarray:
        """Row and column in the map ``(n, 2)`` of the pixels on tissue, cell by cell."""
        found = np.argwhere(self.tissue) + self.origin
        cell = found // CELL
        return found[np.lexsort((found[:, 1], found[:, 0], cell[:, 1], cell[:, 0]))]

    def filled(self, rows: np.ndarray) -> np.ndarray:
        """Put ``(n, channels)`` of its pixels on tissue into ``(channels, rows, columns)``, NaN elsewhere."""
        out = np.full((rows.shape[1], *self.shape), np.nan, dtype=np.float32)
        y, x = (self.pixels() - self.origin).T
        out[:, y, x] = rows.T
        return out


@dataclass(frozen=True)
class Raster:
    """A map over an image.

    Attributes
    ----------
    shape
        Rows and columns.
    step
        Side of a pixel of the map, in full-resolution pixels of the image.
    side
        Side of a square in pixels of the map.
    squares
        Those with tissue, row by row.
    """

    shape: tuple[int, int]
    step: float
    side: int
    squares: tuple[Square, ...]

    @classmethod
    def over(
        cls, mask: np.ndarray, factors: tuple[float, float], size: tuple[int, int], step: float, side: int
    ) -> Raster:
        """Lay it over the tissue of an image.

        Parameters
        ----------
        mask
            Boolean ``(y, x)`` over the whole image.
        factors
            Full-resolution pixels of the image per pixel of the mask, ``(x, y)``.
        size
            Height and width of the image.
        step, side
            As above.
        """
        # as spots of a grid are laid: where their centers are within the image, and on tissue
        centers = [np.arange(step / 2, length, step) for length in size]
        row, column = ((c / f).astype(int) for c, f in zip(centers, factors[::-1], strict=True))
        shape = len(row), len(column)
        squares = [
            Square((y, x), part.shape, np.packbits(part).tobytes())
            for y in range(0, shape[0], side)
            for x in range(0, shape[1], side)
            if (part := mask[np.ix_(row[y : y + side], column[x : x + side])]).any()
        ]
        return cls(shape, step, side, tuple(squares))

    @property
    def n(self) -> int:
        """Pixels on tissue."""
        return sum(int(s.tissue.sum()) for s in self.squares)


@dataclass(frozen=True)
class SquareTask:
    """What is the same for all squares of a map.

    Attributes
    ----------
    block
        Slide and model.
    step
        Side of a pixel of the map, in full-resolution pixels of the image.
    center, pitch
        Of the tissue, and the distance of spots that positions are given in.
    columns
        Of the model's genes that are wanted.
    composition
        Whether predictions are made parts of a whole.
    """

    block: Block
    step: float
    center: tuple[float, float]
    pitch: float
    columns: tuple[int, ...]
    composition: bool

    def predict(self, square: Square) -> Result:
        """Predict ``(n, genes)`` at the pixels of a square that lie on tissue, and say ``(n,)`` how far they are from training."""
        pixels = square.pixels()
        points = (pixels[:, ::-1] + 0.5) * self.step
        position = (points - self.center) / self.pitch
        # pixels are in the order of their cells
        _, starts = np.unique(pixels // CELL, axis=0, return_index=True)
        cells = [slice(*ends) for ends in zip(starts, [*starts[1:], len(pixels)], strict=True)]
        each = list(self.block.predict_parts(points, position, cells))
        values, ood = (np.concatenate(part) for part in zip(*each, strict=True))
        values = as_composition(values) if self.composition else values
        return values[:, list(self.columns)], ood


def keep_squares(
    task: SquareTask, raster: Raster, folder: Path, facts: Sequence[str], executor: Any
) -> Iterator[tuple[Path, np.ndarray]]:
    """Predict the squares of a map, each kept when it is done, and yield its file and how far it is from training."""
    about = [*facts, repr((task.step, task.center, task.pitch, task.columns, task.composition))]
    names = [block_name(about, [*task.block.tissue.statistics, s.pixels()]) for s in raster.squares]

    def run(some: list[int]) -> Iterator[Result]:
        return run_tasks(SquareTask.predict, [(task, raster.squares[i]) for i in some], executor)

    for name, (_, ood) in zip(names, keep_blocks(folder, names, run), strict=True):
        yield folder / f"{name}.npy", ood


def read_square(path: Path, square: Square) -> np.ndarray:
    """Channels ``(genes + 1, rows, columns)`` of a square, the last one out of distribution.

    Raises
    ------
    FileNotFoundError
        If another process has removed it.
    """
    rows = load_array(path)
    if rows is None:
        raise FileNotFoundError(f"{path} was removed meanwhile: call again, and it is computed anew")
    return square.filled(rows)
