"""A disk that is full, or fails, in the middle of writing: a clear error, nothing half-written, nothing left behind."""

from __future__ import annotations

import builtins
import errno
import io
import os
import pathlib
import warnings

import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import FAST
from stored_readers import bins, h5ad, hest, pooled, segmented, sheet, visium, xenium, xenium_csv

import spatialhist as sh
from spatialhist.io._saving import exchange
from spatialhist.tl import Ridge
from spatialhist.tl._runs.manifest import Manifest

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """Lets the n-th write under a folder fail, and every later one until it is repaired."""

    def __init__(self, monkeypatch, folder, after: int) -> None:
        self.folder, self.left, self.failed = str(folder), after, 0
        self._open, self._replace = builtins.open, os.replace
        monkeypatch.setattr(builtins, "open", self.open)
        monkeypatch.setattr(io, "open", self.open)
        monkeypatch.setattr(os, "replace", self.replace)
        monkeypatch.setattr(pathlib.Path, "open", lambda path, mode="r", *a, **k: self.open(path, mode, *a, **k))

    def open(self, file, mode="r", *args, **kwargs):
        if any(letter in mode for letter in "wax+"):
            self.use(file)
        return self._open(file, mode, *args, **kwargs)

    def replace(self, source, target):
        self.use(target)
        return self._replace(source, target)

    def use(self, path) -> None:
        if str(path).startswith(self.folder):
            self.left -= 1
            if self.left < 0:
                self.failed += 1
                raise FULL


def left_behind(folder) -> list[str]:
    """Temporary files and folders."""
    names = [p.name for p in folder.rglob("*")]
    return [n for n in names if ".tmp" in n or n.endswith(".partial") or n == exchange.STAGE]


def raises_full(call) -> None:
    with warnings.catch_warnings(), pytest.raises(OSError, match="No space left"):
        warnings.simplefilter("ignore")
        call()


@pytest.mark.parametrize("after", [0, 3, 12, 40])
def test_saving_leaves_the_store_as_it_was(box, tmp_path, monkeypatch, after):
    store = tmp_path / "a.zarr"
    box.sdata.write(store)
    sdata = sd.read_zarr(store)
    sh.pp.log_normalize(sdata, key_added="new")
    with monkeypatch.context() as patch:
        Disk(patch, store, after)
        raises_full(lambda: sh.pp.save(sdata))
    back = sd.read_zarr(store)
    assert left_behind(store) in ([], [exchange.STAGE])
    assert set(box.table.layers) <= set(back["table"].layers) <= {*box.table.layers, "new"}
    sh.pp.save(sdata)
    assert left_behind(store) == []
    assert "new" in sd.read_zarr(store)["table"].layers


@pytest.mark.parametrize("after", [0, 5, 30])
def test_reading_into_a_store_leaves_no_store(box, tmp_path, monkeypatch, after):
    with monkeypatch.context() as patch:
        Disk(patch, tmp_path, after)
        raises_full(lambda: sh.io.read(box.sdata.path, store=tmp_path / "new.zarr"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make", [bins, h5ad, hest, pooled, segmented, sheet, visium, xenium, xenium_csv], ids=lambda make: make.__name__
)
def test_a_reader_leaves_no_store_and_writes_it_once_there_is_room(make, tmp_path, monkeypatch):
    folder, stores = tmp_path / "data", tmp_path / "stores"
    folder.mkdir()
    stores.mkdir()
    read = make(folder)
    there = sorted(folder.rglob("*"))
    for after in (0, 4, 40):
        with monkeypatch.context() as patch:
            disk = Disk(patch, stores, after)
            raises_full(lambda: read(stores / "new.zarr"))
        assert disk.failed
        assert list(stores.iterdir()) == []
    assert sorted(folder.rglob("*")) == there
    table = read(stores / "new.zarr")["table"]
    np.testing.assert_array_equal(table.to_df(), sd.read_zarr(stores / "new.zarr")["table"].to_df())


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_features_are_whole_or_absent(box, tmp_path, monkeypatch, after):
    spec, xy = sh.tiles.TileSpec(("px", 20), 8), box.table.obsm["spatial"][:20]

    def features(folder):
        cache = sh.tiles.FeatureCache(folder)
        return cache.features(box.sdata, "S1", spec, FAST["encoder"], xy, progress=False)

    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path, after)
        if after < 3:
            raises_full(lambda: features(tmp_path))
            assert disk.failed
    assert left_behind(tmp_path) == []
    np.testing.assert_array_equal(features(tmp_path), features(None))


@pytest.mark.parametrize("after", [0, 6, 20, 45])
def test_a_run_goes_on_once_there_is_room(box, tmp_path, monkeypatch, after):
    options = {"models": Ridge(components=6), "genes": 6, "groups": "patient", "out": tmp_path / "run", **FAST}
    with monkeypatch.context() as patch:
        Disk(patch, tmp_path, after)
        raises_full(lambda: sh.tl.cross_validate(box.sdata, **options))
    assert not [p for p in (tmp_path / "run" / "folds").glob("*/*") if p.suffix == "" and not any(p.iterdir())]
    sh.tl.cross_validate(box.sdata, **options)
    assert left_behind(tmp_path) == []
    expected = box.cv.out_of_fold("ridge")[:, :0].shape[0]
    assert len(Manifest.read(tmp_path / "run").slides) == 3 and expected == 288


def test_a_submission_is_whole_or_absent(box, tmp_path, monkeypatch):
    box.table.layers["predicted"] = np.ones(box.table.shape, dtype=np.float32)
    (tmp_path / "s.csv").write_text("old")
    with monkeypatch.context() as patch:
        Disk(patch, tmp_path, 1)
        raises_full(lambda: sh.io.write_submission(box.sdata, tmp_path / "s.csv"))
    assert (tmp_path / "s.csv").read_text() == "old"
    assert left_behind(tmp_path) == []


def test_a_stain_reference_is_whole_or_absent(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        Disk(patch, tmp_path, 1)
        raises_full(lambda: sh.pp.StainReference.canonical("macenko").save(tmp_path / "s.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_store_is_refused_and_stays(box, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    sh.pp.log_normalize(box.sdata, key_added="new")
    before = box.digest()
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "mkdir", refuse)
        with warnings.catch_warnings(), pytest.raises(PermissionError, match=r"may not be written to: save a copy"):
            warnings.simplefilter("ignore")
            sh.pp.save(box.sdata)
    assert box.digest() == before
