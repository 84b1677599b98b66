from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr
from small_manifests import manifest

from spatialhist._runtime import files
from spatialhist.tl._runs import folder as _folder
from spatialhist.tl._runs.manifest import Manifest


@pytest.fixture
def folder(tmp_path):
    with _folder.locked(tmp_path / "run"):
        yield tmp_path / "run"


def test_the_same_parameters_go_on(folder):
    _folder.claim(folder, manifest())
    (folder / "folds").mkdir()
    _folder.claim(folder, replace(manifest(), command="another"))
    assert Manifest.read(folder) == manifest()
    assert (folder / "folds").exists()


def test_other_parameters_are_refused_by_name(folder):
    _folder.claim(folder, manifest())
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(
        FileExistsError, match="differ in \\['layer', 'seed'\\]: choose another out=, or pass overwrite"
    ):
        _folder.claim(folder, manifest(seed=1, layer="x"))
    assert (folder / "manifest.json").read_bytes() == before


def test_overwriting_removes_what_the_run_made_and_keeps_features(folder):
    _folder.claim(folder, manifest())
    for name in ("folds", "inner", "full", "stack", "oof.zarr", "cache"):
        (folder / name).mkdir()
    (folder / "report.html").touch()
    _folder.claim(folder, manifest(seed=1), overwrite=True)
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "cache", "manifest.json"]
    assert Manifest.read(folder).seed == 1


def test_a_folder_of_something_else_is_refused_even_when_overwriting(folder):
    (folder / "thesis.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="no run folder and not empty \\(\\['thesis.txt'\\]\\)"):
            _folder.claim(folder, manifest(), overwrite=overwrite)
    assert not (folder / "manifest.json").exists()


def test_checking_ignores_what_is_not_known_yet(folder):
    _folder.claim(folder, manifest(data="abc"))
    _folder.check_free(folder, manifest())


def test_a_second_process_is_kept_out(folder):
    with pytest.raises(RuntimeError, match="another process works on"), _folder.locked(folder):
        pass


def test_the_lock_is_let_go(tmp_path):
    for _ in range(2):
        with _folder.locked(tmp_path):
            pass


def test_groups_become_folders():
    groups = ["P1", "a/b", "a b"]
    assert _folder.group_folder(groups, ("P1",)) == "00_P1"
    assert _folder.group_folder(groups, ("a/b", "a b")) == "01_a_b+02_a_b"
    assert _folder.group_folder(groups, ()) == "all"


def test_json_replaces_in_one_step(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1})
    files.write_json(tmp_path / "a.json", {"b": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_predictions_are_stored_with_their_rows(tmp_path):
    values = np.array([[1.5, np.nan, 2.0]], dtype=np.float32)
    for _ in range(2):
        _folder.write_oof(tmp_path, {"my model": values}, {"region": ["S1"], "spot_id": ["7"]}, ["A", "B", "C"])
    stored = zarr.open_group(tmp_path / "oof.zarr", mode="r")
    np.testing.assert_array_equal(stored["my_model"][:], values)
    assert stored.attrs["genes"] == ["A", "B", "C"]
    assert stored.attrs["rows"] == {"region": ["S1"], "spot_id": ["7"]}
    assert [p.name for p in tmp_path.iterdir()] == ["oof.zarr"]


@pytest.mark.parametrize(
    "name", [".lock", "folds", "inner", "full", "stack", "inputs", "cache", "oof.zarr", "manifest.json"]
)
def test_nothing_is_written_through_a_link_of_a_run_folder(name, tmp_path):
    outside, run = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    run.mkdir()
    (run / name).symlink_to(outside / "new" if "." in name else outside)
    with pytest.raises(ValueError, match=f"{name} leads outside of .*run"), _folder.locked(run):
        pass
    assert list(outside.iterdir()) == []


def test_a_run_folder_may_be_a_link_itself(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with _folder.locked(tmp_path / "run"):
        assert (tmp_path / "disk" / ".lock").exists()
