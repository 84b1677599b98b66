from __future__ import annotations

import json

import numpy as np
import pytest

from spatialhist._runtime.files import (
    intact,
    load_array,
    new_folder,
    whole_file,
    whole_folder,
    write_array,
    write_json,
)


class Stop(Exception):
    """What interrupts a write here."""


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_takes_its_place_when_all_is_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as new:
        new.write_text("new")
        assert path.read_text() == "old" and new.parent == tmp_path
    assert path.read_text() == "new" and names(tmp_path) == ["a.txt"]


def test_an_interrupted_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(Stop), whole_file(path) as new:
        new.write_text("half")
        raise Stop
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_draft_may_lie_in_another_folder(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    with whole_file(tmp_path / "a.txt", folder=stage) as new:
        new.write_text("x")
        assert names(tmp_path) == ["stage"]
    assert names(tmp_path) == ["a.txt", "stage"] and names(stage) == []


def test_a_folder_takes_the_place_of_another(tmp_path):
    folder = tmp_path / "deep" / "run"
    for value in ("first", "second"):
        with whole_folder(folder) as new:
            (new / value).write_text(value)
    assert names(folder) == ["second"] and names(folder.parent) == ["run"]


def test_an_interrupted_folder_leaves_the_old_one(tmp_path):
    with whole_folder(tmp_path / "run") as new:
        (new / "a").touch()
    with pytest.raises(Stop), whole_folder(tmp_path / "run") as new:
        (new / "b").touch()
        raise Stop
    assert names(tmp_path / "run") == ["a"] and names(tmp_path) == ["run"]


def test_what_a_killed_process_left_of_a_folder_is_removed_by_the_next(tmp_path):
    (tmp_path / ".run.tmp").mkdir()
    (tmp_path / ".run.tmp" / "half").touch()
    with whole_folder(tmp_path / "run") as new:
        assert names(new) == []
    assert names(tmp_path) == ["run"]


def test_a_new_folder_replaces_an_empty_one_and_no_other(tmp_path):
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as new:
        new.mkdir()
        (new / "a").touch()
    assert names(tmp_path / "empty") == ["a"]
    with pytest.raises(OSError, match="empty"), new_folder(tmp_path / "empty") as new:
        new.mkdir()
    assert names(tmp_path / "empty") == ["a"] and names(tmp_path) == ["empty"]


def test_json_and_arrays(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1})
    write_json(tmp_path / "a.json", {"b": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": 2}
    values = np.arange(6.0).reshape(2, 3)
    write_array(tmp_path / "a.npy", values)
    assert np.array_equal(load_array(tmp_path / "a.npy"), values)
    assert load_array(tmp_path / "none.npy") is None


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_a_broken_array_is_named(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy holds no features .*: remove it"):
        load_array(tmp_path / "a.npy")


def test_a_broken_file_is_named_and_our_own_errors_pass(tmp_path):
    with (
        pytest.raises(ValueError, match=r"run is broken \(KeyError: 'x'\): make the run again"),
        intact(tmp_path / "run"),
    ):
        {}["x"]
    with pytest.raises(ValueError, match="^12 is too much$"), intact(tmp_path):
        raise ValueError("12 is too much")
    with pytest.raises(ValueError, match=r"^a\{b\} cannot be read: no \{c\}$"):
        with intact("a{b}", "{path} cannot be read: {error}", errors=(OSError,)):
            raise OSError("no {c}")
