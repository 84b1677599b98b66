"""Features of tiles: read in the order of the store, encoded batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from spatialhist.tiles._reading.reader import TileReader
from spatialhist.tiles._reading.source import PixelSource
from spatialhist.tiles._spec import PIXELS, TileSpec

if TYPE_CHECKING:
    import torch
    from tqdm.auto import tqdm

    from spatialhist.nn import ColorTexture, FrozenEncoder

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


def encode_tiles(
    reader: TileReader,
    centers: np.ndarray,
    encoder: Encoder,
    *,
    extent_px: float,
    pixels: int,
    padding: str = "reflect",
    batch: int = 256,
    bar: tqdm | None = None,
) -> np.ndarray:
    """Features ``(n, F)`` float32 of the tiles around some points, in their order.

    Raises
    ------
    ValueError
        If the encoder fails, or gives anything but finite features of the same width for every tile.
    """
    from spatialhist.nn import get_encoder

    encoder, features = get_encoder(encoder), None
    for index, tiles in reader.iter(centers, extent_px, pixels, batch, padding=padding):
        values = _apply(encoder, tiles)
        features = np.empty((len(centers), values.shape[1]), dtype=np.float32) if features is None else features
        if values.shape[1] != features.shape[1]:
            raise ValueError(
                f"the encoder made {features.shape[1]} features of some tiles, {values.shape[1]} of others"
            )
        features[index] = values
        if bar is not None:
            bar.update(len(index))
    return np.empty((0, 0), dtype=np.float32) if features is None else features


def _apply(encoder: Encoder, tiles: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        values = encoder(torch.from_numpy(tiles)).to("cpu", torch.float32).numpy()
    broken = len(values) - int(np.isfinite(values).all(axis=1).sum())
    if broken:
        raise ValueError(f"the encoder made NaN or infinite features of {broken} of {len(tiles)} tiles")
    return values
