from __future__ import annotations

import pytest
import spatialdata as sd

import spatialhist as sh


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
