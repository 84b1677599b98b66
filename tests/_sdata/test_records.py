"""Records are dicts in memory and one JSON text each in a store or a file."""

from __future__ import annotations

import copy
import json
import pickle

import anndata as ad
import numpy as np
import pytest
import spatialdata as sd
from tests.io._saving.test_store import small

import spatialhist as sh
from spatialhist import _keys
from spatialhist._sdata import records
from spatialhist._sdata.layers import record, recorded
from spatialhist.io._saving.store import save_changes

PARAMS = {
    "slides": {"S1": {"share": 0.25, "matrix": np.array([[1.5, 0.0], [0.1, -2.0]])}, "S2": {"share": np.float32(0.1)}},
    "names": ["x", "ü"],
    "n": np.int64(4),
    "flag": True,
    "empty": [],
}
SAID = {
    "slides": {"S1": {"share": 0.25, "matrix": [[1.5, 0.0], [0.1, -2.0]]}, "S2": {"share": float(np.float32(0.1))}},
    "names": ["x", "ü"],
    "n": 4,
    "flag": True,
    "empty": [],
}


@pytest.fixture
def sdata() -> sd.SpatialData:
    made = small()
    record(made["table"], "step", PARAMS)
    return made


def without_version(entry: dict) -> dict:
    return {key: value for key, value in entry.items() if key != "version"}


def test_a_record_is_one_text_in_a_store_and_a_dict_where_it_is_read(sdata, tmp_path):
    sdata.write(tmp_path / "a.zarr")
    nodes = list((tmp_path / "a.zarr" / "tables" / "table" / "uns" / _keys.ROOT).rglob("zarr.json"))
    assert len(nodes) == 2  # of the record, and of what it lies in
    plain = sd.read_zarr(tmp_path / "a.zarr")["table"]
    assert without_version(json.loads(plain.uns[_keys.ROOT]["step"])) == SAID
    assert without_version(recorded(plain, "step")) == SAID
    back = sh.io.read(tmp_path / "a.zarr")
    assert without_version(back["table"].uns[_keys.ROOT]["step"]) == SAID
    assert save_changes(back) == []


def test_steps_know_the_records_of_an_object_that_spatialdata_read(sdata, tmp_path):
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata, radius=("px", 30.0))
    sdata.write(tmp_path / "a.zarr")
    back = sd.read_zarr(tmp_path / "a.zarr")
    sh.pp.smooth_expression(back, layer="log1p")
    assert back["table"].uns[_keys.ROOT]["log1p_smooth"]["target_sum"] == 1e4
    assert json.loads(back["table"].uns[_keys.ROOT]["step"])["n"] == 4


def test_a_record_goes_through_h5ad(sdata, tmp_path):
    table = sdata["table"]
    table.write_h5ad(tmp_path / "a.h5ad")
    assert without_version(recorded(ad.read_h5ad(tmp_path / "a.h5ad"), "step")) == SAID


def test_copies_are_written_the_same_way(sdata, tmp_path):
    table = sdata["table"]
    entry = table.uns[_keys.ROOT]["step"]
    for made in (copy.deepcopy(entry), pickle.loads(pickle.dumps(entry)), table[:5].copy().uns[_keys.ROOT]["step"]):
        assert type(made) is records.Record and made is not entry
        np.testing.assert_array_equal(made["slides"]["S1"]["matrix"], entry["slides"]["S1"]["matrix"])


def test_where_anndata_takes_no_writer_records_are_plain_dicts(sdata, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_is_written_as_text", lambda: False)
    record(sdata["table"], "step", PARAMS)
    assert type(sdata["table"].uns[_keys.ROOT]["step"]) is dict
    sdata.write(tmp_path / "a.zarr")
    entry = recorded(sh.io.read(tmp_path / "a.zarr")["table"], "step")
    np.testing.assert_array_equal(entry["slides"]["S1"]["matrix"], PARAMS["slides"]["S1"]["matrix"])
    assert entry["n"] == 4 and entry["flag"] and list(entry["names"]) == ["x", "ü"]


def test_a_store_of_dicts_is_not_written_again(sdata, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(records, "_is_written_as_text", lambda: False)
        record(sdata["table"], "step", PARAMS)
        sdata.write(tmp_path / "a.zarr")
    back = sh.io.read(tmp_path / "a.zarr")
    assert save_changes(back) == []
    record(back["table"], "step", {**PARAMS, "n": 5})
    assert save_changes(back) == ["tables/table/uns/spatialhist/step"]
    assert without_version(sh.io.read(tmp_path / "a.zarr")["table"].uns[_keys.ROOT]["step"]) == {**SAID, "n": 5}


@pytest.mark.parametrize("text", ["no JSON", "3", "[1]"])
def test_another_text_stays_what_it_is(sdata, text):
    sdata["table"].uns[_keys.ROOT]["note"] = text
    records.open_records(sdata["table"])
    assert sdata["table"].uns[_keys.ROOT]["note"] == text


def test_what_json_cannot_hold_is_refused_by_name(sdata, tmp_path):
    sh.pp.save(sdata, tmp_path / "a.zarr")
    sdata["table"].uns[_keys.ROOT]["mine"] = {"call": print}
    with pytest.raises(
        ValueError, match=r"uns\['spatialhist'\] of table 'table' cannot be stored: a record cannot hold"
    ):
        sh.pp.save(sdata)
