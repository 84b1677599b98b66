"""Two objects read from one store: none undoes what the other has saved."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import spatialdata as sd
from filelock import FileLock
from spatialdata.transformations import Translation, get_transformation, set_transformation
from tests.io._saving.test_store import small

from spatialhist import _keys
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.images import add_mask
from spatialhist._sdata.layers import record
from spatialhist.io._assembly.cohort import open_store
from spatialhist.io._saving import exchange, history
from spatialhist.io._saving.store import save_changes

SHAPE = (12, 5)


@pytest.fixture
def store(tmp_path) -> Path:
    sdata = small()
    sdata["table"].layers["both"] = np.zeros(SHAPE, np.float32)
    sdata["table"].obs["grade"] = np.arange(12)
    sdata["table"].uns[_keys.ROOT] = {"both": {"step": "first"}}
    add_mask(sdata, np.ones((60, 90), bool), image="S1_full_image")
    sdata.write(tmp_path / "a.zarr")
    return tmp_path / "a.zarr"


@pytest.fixture
def two(store):
    return sd.read_zarr(store), sd.read_zarr(store)


def save_silently(sdata) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet():
            return save_changes(sdata)


def test_what_an_object_has_not_seen_is_kept_and_named(two, store):
    first, second = two
    first["table"].layers["predicted"] = np.ones(SHAPE, np.float32)
    first["table"].obs["label"] = 1.5
    first["table"].obsm["where"] = np.ones((12, 2))
    first["table"].uns[_keys.ROOT]["predicted"] = {"step": "predict"}
    first.attrs[_keys.ROOT]["slides"]["S1"]["mpp"] = 0.5
    save_silently(first)
    second["table"].layers["mine"] = np.zeros(SHAPE, np.float32)
    second["table"].uns[_keys.ROOT]["mine"] = {"step": "log"}
    with pytest.warns(UserWarning, match=r"layers/predicted.*they are kept; read the store again"):
        save_changes(second)
    back = sd.read_zarr(store)
    table = back["table"]
    assert {"predicted", "mine", "both"} == set(table.layers)
    assert {"label", "grade"} <= set(table.obs) and set(table.obsm) == {"spatial", "where"}
    assert set(table.uns[_keys.ROOT]) == {"both", "mine", "predicted"}
    assert back.attrs[_keys.ROOT]["slides"]["S1"]["mpp"] == 0.5
    for value in (1, 2):
        second["table"].layers["mine"] = np.full(SHAPE, value, np.float32)
        with pytest.warns(UserWarning, match="layers/predicted"):
            assert save_changes(second) == ["tables/table/layers/mine"]
    assert set(sd.read_zarr(store)["table"].layers) == {"predicted", "mine", "both"}


def test_an_old_value_does_not_replace_a_new_one(two, store):
    first, second = two
    first["table"].layers["both"] = np.full(SHAPE, 7, np.float32)
    first["table"].X = first["table"].X * 2
    first["table"].obs["grade"] = np.arange(12)[::-1].copy()
    set_transformation(first["S1"], Translation([3, 4], axes=("x", "y")), "S1")
    set_transformation(first["S1_full_image_tissue"], Translation([5, 6], axes=("x", "y")), "S1")
    save_silently(first)
    second["table"].obs["mine"] = 1
    with pytest.warns(UserWarning, match="they are kept"):
        save_changes(second)
    back = sd.read_zarr(store)
    assert (back["table"].layers["both"] == 7).all()
    assert (back["table"].X != first["table"].X).nnz == 0
    assert back["table"].obs["grade"].tolist() == list(range(12))[::-1]
    assert "mine" in back["table"].obs
    assert get_transformation(back["S1"], "S1") == Translation([3, 4], axes=("x", "y"))
    moved = get_transformation(back["S1_full_image_tissue"], "S1").to_affine_matrix(("x", "y"), ("x", "y"))
    assert moved[:2, 2].tolist() == [5, 6]


def test_what_both_have_changed_is_that_of_the_last_and_named(two, store):
    first, second = two
    for value, sdata in enumerate(two, 1):
        sdata["table"].layers["both"] = np.full(SHAPE, value, np.float32)
    save_silently(first)
    with pytest.warns(UserWarning, match=r"has also changed \['tables/table/layers/both'\].*now hold what this object"):
        save_changes(second)
    assert (sd.read_zarr(store)["table"].layers["both"] == 2).all()


def test_records_of_two_objects_are_merged_one_by_one(store):
    first, second = open_store(store), open_store(store)
    record(first["table"], "both", {"step": "newer"})
    record(first["table"], "log1p", {"slides": {"S1": {"depth": 1.5}}})
    save_silently(first)
    record(second["table"], "ranks", {"method": "average"})
    with pytest.warns(UserWarning, match=r"uns/spatialhist/both.*uns/spatialhist/log1p.*they are kept"):
        assert save_changes(second) == ["tables/table/uns/spatialhist/ranks"]
    entries = open_store(store)["table"].uns[_keys.ROOT]
    assert {key: set(entry) - {"version"} for key, entry in entries.items()} == {
        "both": {"step"},
        "log1p": {"slides"},
        "ranks": {"method"},
    }
    assert entries["both"]["step"] == "newer" and entries["log1p"]["slides"] == {"S1": {"depth": 1.5}}


def test_what_is_deleted_and_was_seen_is_deleted(two, store):
    first, second = two
    del second["table"].layers["both"], second["table"].obs["grade"], second["table"].uns[_keys.ROOT]["both"]
    first["table"].obs["label"] = 1
    save_silently(first)
    with pytest.warns(UserWarning, match=r"obs/label"):
        save_changes(second)
    table = sd.read_zarr(store)["table"]
    assert "both" not in table.layers and "label" in table.obs and "grade" not in table.obs
    assert "both" not in table.uns.get(_keys.ROOT, {})


def test_two_that_take_turns(two, store):
    first, second = two
    first["table"].layers["a"] = np.ones(SHAPE, np.float32)
    save_silently(first)
    with pytest.warns(UserWarning, match="layers/a"):
        second["table"].layers["b"] = np.ones(SHAPE, np.float32)
        save_changes(second)
    with pytest.warns(UserWarning, match="layers/b"):
        del first["table"].layers["a"]
        save_changes(first)
    assert set(sd.read_zarr(store)["table"].layers) == {"both", "b"}
    third = sd.read_zarr(store)
    del third["table"].layers["b"]
    save_silently(third)
    assert set(sd.read_zarr(store)["table"].layers) == {"both"}


def test_other_spots_do_not_replace_a_table_that_others_have_saved(two, store):
    first, second = two
    first["table"].layers["predicted"] = np.ones(SHAPE, np.float32)
    save_silently(first)
    table = second["table"][:7].copy()
    del second.tables["table"]
    second.tables["table"] = table
    before = sd.read_zarr(store)["table"]
    with pytest.raises(
        ValueError, match=r"layers/predicted.*spots or genes of tables/table differ: read the store again"
    ):
        save_changes(second)
    after = sd.read_zarr(store)["table"]
    assert after.shape == before.shape and "predicted" in after.layers
    assert not (store / exchange.STAGE).exists()


def test_a_store_that_was_replaced_is_refused(two, store):
    first, second = two
    for value in (1, 2):
        first["table"].obs["label"] = value
        save_changes(first)
    path = store / _keys.STORE_FOLDER / history.HISTORY
    path.write_text(json.dumps(json.loads(path.read_text())[1:]))
    second["table"].obs["mine"] = 1
    with pytest.raises(ValueError, match="is not the store that this object was read from"):
        save_changes(second)


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"name": "a"}]', '[{"name": "a", "after": null, "held": 3}]'])
def test_a_broken_history_is_named(two, store, text):
    save_changes(two[0])
    (store / _keys.STORE_FOLDER).mkdir(exist_ok=True)
    (store / _keys.STORE_FOLDER / history.HISTORY).write_text(text)
    with pytest.raises(ValueError, match=r"history.json is broken"):
        save_changes(two[1])


@pytest.mark.parametrize("name", ["list_steps", "exchange.carry_out"])
def test_a_save_that_failed_is_the_objects_own(store, monkeypatch, name):
    sdata = sd.read_zarr(store)
    sdata["table"].layers["new"] = np.ones(SHAPE, np.float32)
    del sdata["table"].layers["both"]

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(f"spatialhist.io._saving.store.{name}", fail)
        with pytest.raises(OSError, match="disk full"):
            save_changes(sdata)
    save_silently(sdata)
    assert set(sd.read_zarr(store)["table"].layers) == {"new"}


SAVER = """
import sys, warnings
import numpy as np, spatialdata as sd
from spatialhist.io._saving.store import save_changes
warnings.simplefilter("ignore")
sdata, me = sd.read_zarr(sys.argv[1]), sys.argv[2]
for i in range(8):
    sdata["table"].layers["of_" + me] = np.full((12, 5), i, np.float32)
    sdata["table"].obs["column_" + me] = i
    save_changes(sdata)
"""


def test_two_processes_wait_for_each_other(store):
    command = [sys.executable, "-c", textwrap.dedent(SAVER), str(store)]
    both = [subprocess.Popen([*command, me], stderr=subprocess.PIPE, text=True) for me in "ab"]
    errors = [p.communicate()[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], errors
    table = sd.read_zarr(store)["table"]
    assert {"of_a", "of_b", "both"} == set(table.layers)
    assert all((table.layers[name] == 7).all() for name in ("of_a", "of_b"))
    assert {"column_a", "column_b", "grade"} <= set(table.obs)


def test_who_waits_too_long_is_told(store, monkeypatch):
    monkeypatch.setattr(exchange, "WAIT_S", 0.1)
    sdata = sd.read_zarr(store)
    (store / _keys.STORE_FOLDER).mkdir()
    start = time.monotonic()
    with FileLock(store / _keys.STORE_FOLDER / exchange.LOCK), pytest.raises(RuntimeError, match="another process"):
        save_changes(sdata)
    assert time.monotonic() - start < 10


def test_a_lock_that_is_a_link_is_refused(store, tmp_path):
    (tmp_path / "precious").write_text("text")
    (store / _keys.STORE_FOLDER).mkdir()
    (store / _keys.STORE_FOLDER / exchange.LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(ValueError, match="link|outside"):
        save_changes(sd.read_zarr(store))
    assert (tmp_path / "precious").read_text() == "text"


def test_digests_are_of_values():
    dense = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert history.digest_array(dense) == history.digest_array(np.asfortranarray(dense))
    others = [dense.T, dense.astype(float), sp.csr_matrix(dense), dense + 1, dense.reshape(3, 2)]
    assert len({history.digest_array(a) for a in (dense, *others)}) == 6
    assert history.digest_array(sp.csr_matrix(dense)) == history.digest_array(sp.csr_matrix(dense.copy()))
