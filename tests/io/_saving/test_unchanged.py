"""A save with nothing new is told by digests: whatever differs in the object or in its store is compared part by part."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from spatialdata.transformations import Translation, set_transformation
from tests.io._saving.test_store import change, small

from spatialhist import _keys
from spatialhist._sdata.layers import record
from spatialhist.io._assembly.cohort import open_store
from spatialhist.io._saving import exchange, store, unchanged
from spatialhist.io._saving.store import save_changes


@pytest.fixture
def saved(tmp_path) -> sd.SpatialData:
    small().write(tmp_path / "a.zarr")
    sdata = open_store(tmp_path / "a.zarr")
    change(sdata)
    sdata["table"].obs["kind"] = pd.Categorical(list("abcabcabcabc"))
    record(sdata["table"], "step", {"slides": {"S1": {"share": 0.5}}})
    save_changes(sdata)
    return sdata


def compared(sdata, monkeypatch) -> bool:
    """Whether a save looks at the parts of a store."""
    looked, plan = [], store._plan
    with monkeypatch.context() as patch:
        patch.setattr(store, "_plan", lambda *args: looked.append(True) or plan(*args))
        save_changes(sdata)
    return bool(looked)


def test_nothing_new_is_told_without_looking_at_the_store(saved, monkeypatch):
    assert not compared(saved, monkeypatch)
    back = open_store(Path(saved.path))
    compared(back, monkeypatch)
    assert not compared(back, monkeypatch)


def in_layer(sdata):
    sdata["table"].layers["new"][3, 2] += 1


def in_counts(sdata):
    sdata["table"].X.data[4] += 1


def in_column(sdata):
    sdata["table"].obs["grade"] = np.arange(12) + 1


def in_order_of_categories(sdata):
    sdata["table"].obs["kind"] = sdata["table"].obs["kind"].cat.reorder_categories(list("cba"))


def in_record(sdata):
    sdata["table"].uns[_keys.ROOT]["step"]["slides"]["S1"]["share"] = 0.75


def in_thumbnail(sdata):
    sdata["table"].uns["spatial"]["S1"]["scalefactors"]["spot_diameter_fullres"] += 1


def in_attributes(sdata):
    sdata.attrs["spatialhist"]["slides"]["S1"]["mpp"] = 0.75


def in_place_of_spots(sdata):
    set_transformation(sdata["S1"], Translation([5, 9], axes=("x", "y")), "S1")


def in_place_of_an_image(sdata):
    set_transformation(sdata["S1_full_image"], Translation([5, 9], axes=("x", "y")), "S1")


def in_radius(sdata):
    sdata["S1"].loc[sdata["S1"].index[2], "radius"] = 4.5


def in_name_of_a_table(sdata):
    sdata.tables["other"] = sdata.tables["table"]


@pytest.mark.parametrize(
    "differ",
    [
        in_layer,
        in_counts,
        in_column,
        in_order_of_categories,
        in_record,
        in_thumbnail,
        in_attributes,
        in_place_of_spots,
        in_place_of_an_image,
        in_radius,
        in_name_of_a_table,
    ],
    ids=lambda f: f.__name__,
)
def test_every_change_of_an_object_is_saved(saved, differ):
    assert save_changes(saved) == []
    differ(saved)
    assert save_changes(saved) != []
    assert save_changes(saved) == []


def test_an_image_that_does_not_read_from_the_store_is_compared(saved, monkeypatch):
    pixels = np.asarray(saved["S1_full_image"].data).copy()
    saved["S1_full_image"].data = da.from_array(pixels)
    assert compared(saved, monkeypatch)
    pixels = pixels.copy()
    pixels[0, 3, 5] ^= 1
    saved["S1_full_image"].data = da.from_array(pixels)
    assert save_changes(saved) == ["images/S1_full_image"]


def test_what_others_did_to_the_store_is_seen(saved, monkeypatch):
    path = Path(saved.path)
    shutil.rmtree(path / "tables" / "table" / "layers" / "new")
    assert save_changes(saved) == ["tables/table/layers/new"]
    file = path / "tables" / "table" / "obs" / "grade" / "zarr.json"
    os.utime(file, ns=(1, 1))
    assert compared(saved, monkeypatch)
    copied = Path(shutil.copytree(path, path.with_name("b.zarr")))
    saved.path = copied
    assert not (copied / exchange.STAGE).exists() and compared(saved, monkeypatch)


@pytest.mark.parametrize("text", ["{", "3", "[]", '{"files": 1}', "\\ud800"])
def test_a_broken_note_costs_a_comparison(saved, monkeypatch, text):
    note = Path(saved.path) / _keys.STORE_FOLDER / unchanged.LAST
    note.write_text(text)
    assert compared(saved, monkeypatch)
    assert not compared(saved, monkeypatch)


def test_a_note_that_cannot_be_written_fails_no_save(saved, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    in_layer(saved)
    with monkeypatch.context() as patch:
        patch.setattr(unchanged, "write_json", full)
        assert save_changes(saved) == ["tables/table/layers/new"]
    assert compared(saved, monkeypatch)
