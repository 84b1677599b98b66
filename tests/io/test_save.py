from __future__ import annotations

import pytest
import spatialdata as sd

import spatialhist as sh
from spatialhist.io._saving.changes import reads_from


@pytest.fixture
def sdata():
    return sh.datasets.synthetic(n_slides=1, size_px=(200, 260), n_genes=5)


def test_makes_a_store_and_then_adds_to_it(sdata, tmp_path, recwarn):
    sh.pp.save(sdata, tmp_path / "cohort.zarr")
    assert sdata.path == tmp_path / "cohort.zarr"
    sh.pp.log_normalize(sdata)
    sh.pp.save(sdata)
    assert not [w for w in recwarn if "autosharding" in str(w.message)]
    assert "log1p" in sd.read_zarr(tmp_path / "cohort.zarr")["table"].layers


def test_what_a_store_cannot_hold_leaves_none(sdata, tmp_path):
    sdata["table"].uns["mine"] = object()
    with pytest.raises(
        ValueError, match=r"cohort.zarr was not written.*<class 'object'>.*key 'mine'.*Leave this part out"
    ):
        sh.pp.save(sdata, tmp_path / "cohort.zarr")
    assert list(tmp_path.iterdir()) == [] and sdata.path is None
    del sdata["table"].uns["mine"]
    sh.pp.save(sdata, tmp_path / "cohort.zarr")
    assert list(tmp_path.iterdir()) == [tmp_path / "cohort.zarr"]


def test_images_read_from_a_new_store(sdata, tmp_path):
    store = tmp_path / "a" / "cohort.zarr"
    sh.pp.save(sdata, store)
    assert all(reads_from(image, store / "images" / name) for name, image in sdata.images.items())


def test_a_place_that_cannot_be_written_is_named(sdata, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="file is a file"):
        sh.pp.save(sdata, tmp_path / "file" / "cohort.zarr")
    with pytest.raises(ValueError, match="already exists: choose another path, pass overwrite=True"):
        sh.pp.save(sdata, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_store_is_replaced_only_when_asked(sdata, tmp_path):
    sh.pp.save(sdata, tmp_path / "cohort.zarr")
    other = sh.datasets.synthetic(n_slides=1, size_px=(200, 260), n_genes=6)
    with pytest.raises(ValueError, match="already exists"):
        sh.pp.save(other, tmp_path / "cohort.zarr")
    sh.pp.save(other, tmp_path / "cohort.zarr", overwrite=True)
    assert sh.io.read(tmp_path / "cohort.zarr")["table"].n_vars == 6


def test_an_object_without_a_store_is_refused(sdata):
    with pytest.raises(ValueError, match="store"):
        sh.pp.save(sdata)


def test_reading_reports_no_masks_without_parent(sdata, tmp_path, caplog):
    sh.pp.mask_background(sdata)
    sh.pp.save(sdata, tmp_path / "cohort.zarr")
    sh.io.read(tmp_path / "cohort.zarr")
    assert not [r for r in caplog.records if "no parent" in r.getMessage()]
