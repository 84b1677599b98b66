"""Large decoded images lie in temporary files that go with them; where there is no room they stay in memory."""

from __future__ import annotations

import gc
import mmap
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_level
from spatialhist.io._images import spooled as module
from spatialhist.io._images.spooled import spooled

PIXELS = np.random.default_rng(0).integers(0, 255, (3, 1100, 37), dtype=np.uint8)


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)


def base_of(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def open_maps() -> list[str]:
    """Maps of files without a name, which Linux lists."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if tempfile.gettempdir() in line and line.endswith("(deleted)")]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone lists maps")
@pytest.mark.parametrize(
    "pixels", [PIXELS, np.moveaxis(np.moveaxis(PIXELS, 0, -1).copy(), -1, 0)], ids=["planes", "rows"]
)
def test_pixels_are_the_same_and_lie_in_a_file(large, pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gc.collect()
    before = len(open_maps())
    held = spooled(pixels, "image")
    assert isinstance(base_of(held).base, memoryview)
    np.testing.assert_array_equal(held, pixels)
    assert len(open_maps()) > before and not list(tmp_path.iterdir())
    del held
    gc.collect()
    assert len(open_maps()) == before


def test_pixels_go_to_workers(large):
    held = spooled(PIXELS, "image")
    # joblib sends the name of a map's file, which this one does not have
    assert not isinstance(held, np.memmap) and not isinstance(base_of(held).base, mmap.mmap)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(held)), PIXELS)


def test_small_images_stay_in_memory():
    assert spooled(PIXELS, "image") is PIXELS


def test_without_room_pixels_stay_in_memory_with_a_way_out(large, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", full)
    with pytest.warns(UserWarning, match=r"image of 'S1' stays in memory.*No space left.*store=, or set TMPDIR"):
        assert spooled(PIXELS, "image of 'S1'") is PIXELS


def test_slides_read_without_a_store_are_those_of_a_store(large, st_folder, tmp_path):
    memory = sh.io.read_st(st_folder, progress=False)
    stored = sh.io.read_st(st_folder, progress=False, store=tmp_path / "a.zarr")
    for slide in ("S1", "S2"):
        ours, theirs = (pyramid(s, f"{slide}_full_image") for s in (memory, stored))
        assert [a.shape for a in ours.levels] == [a.shape for a in theirs.levels]
        for level in range(len(ours.levels)):
            np.testing.assert_array_equal(read_level(ours, level), read_level(theirs, level))
