"""Features of tiles: read in the order of the store, encoded batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from spatialhist.tiles._reading.reader import TileReader
from spatialhist.tiles._reading.source import PixelSource
from spatialhist.tiles._spec import PIXELS, TileSpec

if TYPE_CHECKING:
    import torch
    from tqdm.auto import tqdm

    from spatialhist.nn import ColorTexture, FrozenEncoder
    from spatialhist.tiles._features.engines import Engine, Pending

    Encoder = Callable[[torch.Tensor], torch.Tensor]

MIN_MB, MAX_MB, BLOCKS = 64, 256, 24
"""Decoded pixels that are kept while tiles are encoded, so that memory is the same from small slides to large ones: some
rows of blocks, and at least so many of them where they are large."""


def encoder_spec(spec: TileSpec | tuple[str, float] | None, encoder: ColorTexture | FrozenEncoder) -> TileSpec:
    """Complete the size of tiles by what an encoder was made for.

    Raises
    ------
    ValueError
        If the field of view is left open, and the encoder does not say at which scale it was trained.
    """
    if isinstance(spec, TileSpec):
        return spec
    pixels = encoder.pixels or PIXELS
    if spec is None and encoder.um_per_pixel is None:
        raise ValueError(
            "spec=None takes the field of view that the encoder was trained on, and the encoder has no um_per_pixel: "
            "give its side, as in spec=('um', 150)"
        )
    return TileSpec(spec or ("um", pixels * (encoder.um_per_pixel or 0)), pixels, grid=1)


def encoding_reader(source: PixelSource) -> TileReader:
    """Return a reader that keeps no more blocks than tiles in reading order need."""
    height, width = source.block_shape(0)
    return TileReader(source, cache_mb=float(np.clip(BLOCKS * 3 * height * width / 1e6, MIN_MB, MAX_MB)))


def encode_parts(
    reader: TileReader,
    parts: Iterable[np.ndarray],
    engine: Engine,
    *,
    extent_px: float,
    pixels: int,
    padding: str = "reflect",
    batch: int | None = None,
    bar: tqdm | None = None,
) -> Iterator[np.ndarray]:
    """Yield features ``(n, F)`` float32 of the tiles around some points, part by part, in their order.

    Tiles are read while those before are encoded, those of the next part too.

    Raises
    ------
    ValueError
        If the encoder fails, or gives anything but finite features of the same width for every tile.
    """
    ahead: deque[tuple[_Part, np.ndarray, Pending]] = deque()
    size = engine.batch if batch is None else batch
    try:
        for centers in parts:
            part = _Part(len(centers), engine.precision, bar)
            if not len(centers):
                yield part.features
            for index, tiles in reader.iter(centers, extent_px, pixels, size, padding=padding, pool=engine.readers):
                ahead.append((part, index, engine.submit(tiles)))
                # the oldest is waited for while enough lies behind it to keep all busy
                while ahead and sum(pending.pieces for _, _, pending in ahead) - ahead[0][2].pieces >= engine.most:
                    yield from _settled(*ahead.popleft())
        while ahead:
            yield from _settled(*ahead.popleft())
    finally:
        for _, _, pending in ahead:
            pending.cancel()


class _Part:
    """Features of some tiles, filled batch by batch."""

    def __init__(self, n: int, precision: str, bar: tqdm | None) -> None:
        self.features = np.empty((n, 0), dtype=np.float32)
        self._missing, self._precision, self._bar = n, precision, bar

    def fill(self, index: np.ndarray, values: np.ndarray) -> bool:
        """Put the features of a batch in, and say whether all are there."""
        _check(values, self._precision)
        if self._missing == len(self.features):
            self.features = np.empty((len(self.features), values.shape[1]), dtype=np.float32)
        if values.shape[1] != self.features.shape[1]:
            raise ValueError(
                f"the encoder made {self.features.shape[1]} features of some tiles, {values.shape[1]} of others"
            )
        self.features[index] = values
        self._missing -= len(index)
        if self._bar is not None:
            self._bar.update(len(index))
        return not self._missing


def _settled(part: _Part, index: np.ndarray, pending: Pending) -> Iterator[np.ndarray]:
    """Wait for a batch; yield the part that it completes."""
    if part.fill(index, pending.result()):
        yield part.features


def _check(values: np.ndarray, precision: str) -> None:
    broken = len(values) - int(np.isfinite(values).all(axis=1).sum())
    if broken:
        fix = "" if precision == "float32" else f" in {precision}: pass precision='float32'"
        raise ValueError(f"the encoder made NaN or infinite features of {broken} of {len(values)} tiles{fix}")
