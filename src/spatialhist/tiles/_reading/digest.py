"""A hash of the pixels that tiles need, without decoding them where they lie in a store."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from spatialhist.tiles._reading.blocks import Key
from spatialhist.tiles._reading.source import PixelSource

if TYPE_CHECKING:
    import zarr

AT_ONCE = 32
"""Chunks held in memory at a time."""


def pixel_digest(source: PixelSource, level: int, blocks: set[Key]) -> str:
    """Hash some blocks of a level: the encoded chunks of a stored image, the pixels of any other."""
    digest = hashlib.blake2b(digest_size=20)
    for part in _stored(source, level, blocks) if source.stored else _computed(source, level, blocks):
        # each part by its own hash, of one length, so that bytes cannot pass from one to the next unseen
        digest.update(hashlib.blake2b(part).digest())
    return digest.hexdigest()


def _computed(source: PixelSource, level: int, blocks: set[Key]) -> Iterator[bytes]:
    yield repr((source.shape(level), source.block_shape(level))).encode()
    for row, column in sorted(blocks):
        yield repr((row, column)).encode()
        yield source.read_run(level, row, [column])[0].tobytes()


def _stored(source: PixelSource, level: int, blocks: set[Key]) -> Iterator[bytes]:
    """How the chunks are encoded, then the name and the bytes of each; nothing where a chunk is absent."""
    array = source.pyramid.levels[level]
    encoding = {k: v for k, v in array.metadata.to_dict().items() if k != "attributes"}
    yield json.dumps(encoding, sort_keys=True, default=str).encode()
    names = _chunk_names(array, source.block_shape(level), blocks)
    for i in range(0, len(names), AT_ONCE):
        some = names[i : i + AT_ONCE]
        for name, data in zip(some, stored_bytes(array, some), strict=True):
            yield name.encode()
            yield data or b""


def _chunk_names(array: Any, block_shape: tuple[int, int], blocks: set[Key]) -> list[str]:
    """Names of the stored objects (chunks or shards) that hold some blocks, in order."""
    channels, height, width = array.shards or array.chunks
    rows, columns = -(-array.shape[1] // height), -(-array.shape[2] // width)
    places: set[tuple[int, ...]] = set()
    for row, column in blocks:
        y = range(row * block_shape[0] // height, min(rows, -(-(row + 1) * block_shape[0] // height)))
        x = range(column * block_shape[1] // width, min(columns, -(-(column + 1) * block_shape[1] // width)))
        places.update(product(range(-(-array.shape[0] // channels)), y, x))
    return [array.metadata.encode_chunk_key(place) for place in sorted(places)]


def stored_bytes(array: zarr.Array, names: Sequence[str]) -> list[bytes | None]:
    """Read stored objects of an array at once, without decoding; None where there is none.

    zarr has no public way to do this on the loop that its remote stores belong to: the package reaches into it here and
    nowhere else.
    """
    from zarr.core.sync import sync

    async def read() -> list[Any]:
        return await asyncio.gather(*((array.store_path / name).get() for name in names))

    return [None if data is None else data.to_bytes() for data in sync(read())]
