from __future__ import annotations

import functools
import http.server
import multiprocessing
import pickle
import shutil
import sys
import threading
import warnings
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr

from spatialhist.tiles import PixelSource, TileReader

CENTERS = np.random.default_rng(0).uniform([0, 0], [420, 300], (50, 2))


def tiles_of(image) -> np.ndarray:
    return TileReader(image).read(CENTERS, 33, 20)


@pytest.fixture(scope="module")
def expected(pyramid):
    return tiles_of(pyramid)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", [(3, 64, 64), (1, 128, 50), (3, 300, 10)])
def test_any_chunks_of_both_formats_give_the_same_tiles(make_pyramid, pixels, tmp_path, expected, chunks, zarr_format):
    pyramid = make_pyramid(tmp_path / "i.zarr", pixels, chunks=chunks, zarr_format=zarr_format)
    np.testing.assert_array_equal(tiles_of(pyramid), expected)


def reopened(store, pyramid):
    """The pyramid as it is found in another store that holds the same keys."""
    arrays = tuple(zarr.open_array(store, path=f"s{i}", mode="r") for i in range(3))
    return replace(pyramid, levels=tuple(da.from_zarr(a) for a in arrays), stored=arrays)


def test_memory_store(make_pyramid, pixels, expected):
    np.testing.assert_array_equal(tiles_of(make_pyramid(zarr.storage.MemoryStore(), pixels)), expected)


@pytest.fixture
def zipped(make_pyramid, pixels, tmp_path):
    pyramid = make_pyramid(tmp_path / "i.zarr", pixels)
    archive = shutil.make_archive(tmp_path / "i", "zip", tmp_path / "i.zarr")
    return reopened(zarr.storage.ZipStore(archive, mode="r"), pyramid)


def test_zipped_store(zipped, expected):
    np.testing.assert_array_equal(tiles_of(zipped), expected)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_forked_processes_read_one_zip_at_once(zipped, expected):
    reader = TileReader(zipped, cache_mb=0)
    reader.read(CENTERS, 33, 20)
    context = multiprocessing.get_context("fork")  # hands the open file to the children, without pickling
    children = [context.Process(target=exit_with_equality, args=(reader, expected)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=60)
    assert [child.exitcode for child in children] == [0, 0, 0]


def exit_with_equality(reader, expected) -> None:
    same = all(np.array_equal(reader.read(CENTERS, 33, 20), expected) for _ in range(5))
    sys.exit(0 if same else 1)


@pytest.fixture
def url(make_pyramid, pixels, tmp_path):
    make_pyramid(tmp_path / "i.zarr", pixels)
    handler = functools.partial(QuietHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/i.zarr"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_remote_store_also_after_pickling(url, pyramid, expected):
    remote = reopened(zarr.storage.FsspecStore.from_url(url, read_only=True), pyramid)
    np.testing.assert_array_equal(tiles_of(remote), expected)
    again = pickle.loads(pickle.dumps(TileReader(remote)))
    np.testing.assert_array_equal(again.read(CENTERS, 33, 20), expected)


def test_lazy_image_is_computed_in_this_thread(pyramid, expected):
    threads = set()

    def invert(block):
        threads.add(threading.get_ident())
        return 255 - block

    lazy = replace(
        pyramid, levels=tuple(a.map_blocks(invert, dtype="uint8", meta=a._meta) for a in pyramid.levels), stored=None
    )
    source = PixelSource(lazy)
    np.testing.assert_array_equal(source.read(0, slice(0, 9), slice(3, 9)), 255 - pyramid.stored[0][:, :9, 3:9])
    assert threads == {threading.get_ident()}
    np.testing.assert_array_equal(
        255 - TileReader(source).read(CENTERS, 20, 20), TileReader(pyramid).read(CENTERS, 20, 20)
    )


def test_pickled_source_of_a_store_holds_no_dask(pyramid):
    again = pickle.loads(pickle.dumps(PixelSource(pyramid)))
    assert all(isinstance(level, zarr.Array) for level in again.pyramid.levels)
    np.testing.assert_array_equal(again.read(0, slice(0, 5), slice(2, 9)), pyramid.stored[0][:, :5, 2:9])


def test_blocks_are_whole_chunks(make_pyramid, pixels, tmp_path):
    source = PixelSource(make_pyramid(tmp_path / "i.zarr", pixels, chunks=(3, 100, 256)))
    assert source.block_shape(0) == (300, 256)
    left, right = source.read_run(0, 0, [0, 1])
    np.testing.assert_array_equal(np.concatenate([left, right], axis=2), pixels[:, :300])


def test_warns_of_chunks_as_large_as_planes(tmp_path):
    def stored(chunks):
        array = zarr.create_array(tmp_path / f"{chunks[1]}.zarr", shape=(3, 3000, 4000), chunks=chunks, dtype="uint8")
        return replace_level(array)

    with pytest.warns(UserWarning, match=r"chunks of 3000 x 4000 pixels.*chunks=\(3, 512, 512\)"):
        PixelSource(stored((1, 3000, 4000)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        PixelSource(stored((1, 512, 512)))


def replace_level(array):
    from spatialhist._sdata.images import Pyramid

    return Pyramid("S1_full_image", (da.from_zarr(array),), ((1.0, 1.0),), (array,))


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [((4, 30, 40), "uint8", "4 channels of uint8"), ((3, 30, 40), "float32", "3 channels of float32")],
)
def test_refuses_what_is_not_rgb(pyramid, shape, dtype, message):
    with pytest.raises(ValueError, match=f"'S1_full_image' has {message}"):
        PixelSource(replace(pyramid, levels=(da.zeros(shape, dtype=dtype),), stored=None))
