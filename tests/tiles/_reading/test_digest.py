from __future__ import annotations

import shutil
from dataclasses import replace
from unittest.mock import patch

import dask.array as da
import numpy as np
import pytest
import zarr

from spatialhist.tiles import PixelSource
from spatialhist.tiles._reading.digest import pixel_digest, stored_bytes

ALL = {(r, c) for r in range(2) for c in range(2)}


def source_of(pyramid, array) -> PixelSource:
    """A source whose only level is the array."""
    stored = (array,) if isinstance(array, zarr.Array) else None
    levels = (da.from_zarr(array) if stored else array,)
    return PixelSource(replace(pyramid, levels=levels, factors=((1.0, 1.0),), stored=stored))


def write(path, pixels, **options) -> zarr.Array:
    options = {"chunks": (3, 256, 256), **options}
    array = zarr.create_array(path, shape=pixels.shape, dtype="uint8", **options)
    array[:] = pixels
    return array


@pytest.fixture(params=["in a store", "in memory"])
def digest(request, pyramid, pixels, tmp_path):
    """Return a function that hashes blocks of the image after some pixels were changed."""

    def compute(blocks, change=()):
        changed = pixels.copy()
        for place in change:
            changed[place] ^= 1
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
        array = write(path, changed) if request.param == "in a store" else da.from_array(changed, chunks=(3, 256, 256))
        return pixel_digest(source_of(pyramid, array), 0, blocks)

    return compute


def test_same_pixels_have_the_same_digest(digest):
    assert digest(ALL) == digest(ALL)


@pytest.mark.parametrize("place", [(0, 0, 0), (2, 300, 421), (1, 0, 256)])
def test_one_changed_pixel_changes_the_digest(digest, place):
    assert digest(ALL, [place]) != digest(ALL)


def test_blocks_that_are_not_needed_do_not_count(digest):
    assert digest({(0, 0)}, [(0, 0, 256)]) == digest({(0, 0)})
    assert digest({(0, 1)}, [(0, 0, 256)]) != digest({(0, 1)})
    assert digest({(0, 0)}) != digest({(0, 1)})


@pytest.mark.parametrize("chunks", [(3, 256, 256), (1, 128, 256)])
def test_stored_chunks_are_not_decoded(pyramid, pixels, tmp_path, chunks):
    source = source_of(pyramid, write(tmp_path / "a.zarr", pixels, chunks=chunks))
    with patch.object(PixelSource, "read", side_effect=AssertionError):
        pixel_digest(source, 0, ALL)


def test_shards_are_hashed_whole(pyramid, pixels, tmp_path):
    def sharded(name, values):
        return source_of(pyramid, write(tmp_path / name, values, chunks=(3, 64, 64), shards=(3, 256, 256)))

    changed = pixels.copy()
    changed[2, 300, 421] ^= 1
    one, two = sharded("a.zarr", pixels), sharded("b.zarr", changed)
    assert pixel_digest(one, 0, {(0, 0)}) == pixel_digest(two, 0, {(0, 0)})
    assert pixel_digest(one, 0, ALL) != pixel_digest(two, 0, ALL)


def test_absent_chunks_differ_by_their_fill_value(pyramid, tmp_path):
    def empty(name, fill):
        array = zarr.create_array(
            tmp_path / name, shape=(3, 300, 400), chunks=(3, 256, 256), dtype="uint8", fill_value=fill
        )
        return pixel_digest(source_of(pyramid, array), 0, ALL)

    assert empty("a.zarr", 0) != empty("b.zarr", 255)


def test_attributes_do_not_count(pyramid, pixels, tmp_path):
    plain, named = write(tmp_path / "a.zarr", pixels), write(tmp_path / "b.zarr", pixels, attributes={"name": "b"})
    assert pixel_digest(source_of(pyramid, plain), 0, ALL) == pixel_digest(source_of(pyramid, named), 0, ALL)


def test_both_formats_have_a_digest(pyramid, pixels, tmp_path):
    array = write(tmp_path / "a.zarr", pixels, zarr_format=2)
    assert pixel_digest(source_of(pyramid, array), 0, ALL) != pixel_digest(source_of(pyramid, array), 0, {(0, 0)})
    assert np.array_equal(source_of(pyramid, array).read(0, slice(0, 3), slice(0, 3)), pixels[:, :3, :3])


@pytest.mark.parametrize("kind", ["folder", "memory", "zip", "fsspec"])
def test_stored_bytes_are_those_in_the_store(pixels, tmp_path, kind):
    write(tmp_path / "a.zarr", pixels)
    raw = (tmp_path / "a.zarr" / "c" / "0" / "1" / "0").read_bytes()
    array = zarr.open_array(open_store(kind, tmp_path / "a.zarr"), mode="r")
    assert stored_bytes(array, ["c/0/1/0", "c/9/9/9"]) == [raw, None]


def open_store(kind: str, folder):
    if kind == "memory":
        files = (path for path in folder.rglob("*") if path.is_file())
        content = {str(p.relative_to(folder)): zarr.core.buffer.cpu.Buffer.from_bytes(p.read_bytes()) for p in files}
        return zarr.storage.MemoryStore(content)
    if kind == "zip":
        return zarr.storage.ZipStore(shutil.make_archive(folder, "zip", folder), mode="r")
    return zarr.storage.FsspecStore.from_url(folder.as_uri()) if kind == "fsspec" else folder
