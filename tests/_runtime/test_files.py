from __future__ import annotations

import errno
import json
import shutil
import threading
import time

import h5py
import numpy as np
import pytest
from filelock import FileLock

from spatialhist._runtime.files import (
    inside,
    intact,
    load_array,
    new_folder,
    own_hdf5,
    refuse_links,
    remove,
    remove_folder,
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


def test_a_path_stays_inside_its_folder(tmp_path):
    folder, beside = tmp_path / "folder", tmp_path / "folder_beside"
    for made in (folder / "deep", beside):
        made.mkdir(parents=True)
    (folder / "within").symlink_to(folder / "deep")
    (folder / "without").symlink_to(beside)
    (tmp_path / "alias").symlink_to(folder)
    assert inside(folder, "deep", "new.txt") == folder / "deep" / "new.txt"
    assert inside(folder, "within", "x") == folder / "within" / "x"
    assert inside(tmp_path / "alias", "deep").resolve() == folder / "deep"
    assert inside(folder, "deep/../deep") and inside(folder, "")
    for name in ("..", "../folder_beside/x", "deep/../../x", "within/../../x", "/etc/passwd", "without", "without/x"):
        with pytest.raises(ValueError, match=r"leads outside of .*folder, to "):
            inside(folder, name)
    with pytest.raises(ValueError, match="is no path"):
        inside(folder, "a\0b")


def test_a_link_to_outside_is_found_at_any_depth(tmp_path):
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "own").symlink_to(folder / "a")
    refuse_links(folder)
    with pytest.raises(ValueError, match=r"own is a link.*remove"):
        refuse_links(folder, any_link=True)
    (folder / "a" / "b" / "new.txt").symlink_to(tmp_path / "not_there_yet.txt")
    with pytest.raises(ValueError, match=r"a.b.new.txt leads outside"):
        refuse_links(folder)


def test_a_folder_is_removed_while_threads_end_their_writing(tmp_path):
    folder, end = tmp_path / "stage", time.monotonic() + 0.3
    folder.mkdir()

    def write() -> None:
        number = 0
        while time.monotonic() < end and folder.exists():
            number += 1
            draft = folder / f"{number}.partial"
            try:
                draft.write_text("")
                draft.unlink()
                (folder / f"{number}.json").write_text("")
            except FileNotFoundError:
                return

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    remove_folder(folder)
    for thread in threads:
        thread.join()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_removed_is_an_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "stage").mkdir()
    remove_folder(tmp_path / "absent")
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(PermissionError):
        remove_folder(tmp_path / "stage")


def test_removing_a_link_leaves_what_it_leads_to(tmp_path):
    kept, link, file = tmp_path / "kept", tmp_path / "link", tmp_path / "file"
    kept.mkdir()
    (kept / "a").write_text("a")
    link.symlink_to(kept)
    file.write_text("x")
    for path in (link, file, tmp_path / "nothing"):
        remove(path)
    assert names(tmp_path) == ["kept"] and names(kept) == ["a"]
    remove(kept)
    assert names(tmp_path) == []


def test_a_folder_is_written_whole_in_the_place_of_a_link(tmp_path):
    kept, run = tmp_path / "kept", tmp_path / "run"
    kept.mkdir()
    (kept / "a").write_text("a")
    for link in (run, tmp_path / ".run.tmp"):
        link.symlink_to(kept)
    with whole_folder(run) as new:
        (new / "b").write_text("b")
    assert names(run) == ["b"] and not run.is_symlink() and names(kept) == ["a"]


def other_values(path):
    with h5py.File(path, "w") as file:
        file["deep/values"] = np.arange(6.0)
    return path


def virtual(file, other):
    layout = h5py.VirtualLayout((6,), "f8")
    layout[:] = h5py.VirtualSource(str(other), "deep/values", (6,))
    file.create_virtual_dataset("a/b/values", layout)


FOREIGN = {
    "a link to a value": lambda file, other: file.__setitem__(
        "a/b/values", h5py.ExternalLink(str(other), "deep/values")
    ),
    "a link to a group": lambda file, other: file.__setitem__("a/b", h5py.ExternalLink(str(other), "deep")),
    "a link to a file": lambda file, other: file.__setitem__("a", h5py.ExternalLink(str(other), "/")),
    "a link by name": lambda file, other: file.__setitem__("a/b/values", h5py.SoftLink("/somewhere")),
    "values of another file": virtual,
    "bytes of another file": lambda file, other: file.create_dataset(
        "a/b/values", (6,), "u1", external=[(str(other), 0, h5py.h5f.UNLIMITED)]
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_hdf5_at_any_depth_lies_in_the_file_itself(kind, tmp_path):
    other = other_values(tmp_path / "other.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        FOREIGN[kind](file, other)
    with pytest.raises(ValueError, match=r"a\.h5: a.* is a link, or reads another file"), own_hdf5(tmp_path / "a.h5"):
        pass


def test_hdf5_with_a_circle_of_its_own_is_read(tmp_path):
    with h5py.File(other_values(tmp_path / "a.h5"), "r+") as file:
        file["deep/again"] = file["deep"]
    with own_hdf5(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["deep/again/values"], np.arange(6.0))


def test_what_a_killed_process_left_of_a_new_folder_is_removed(tmp_path):
    (tmp_path / ".a[1].zarr.1234abcd.tmp").mkdir()
    (tmp_path / ".a[1].zarr.1234abcd.tmp" / "half").write_text("x")
    (tmp_path / ".a[1].zarr.lock").write_text("")
    (tmp_path / ".b.zarr.1234abcd.tmp").mkdir()
    with new_folder(tmp_path / "a[1].zarr") as new:
        assert names(tmp_path) == [".a[1].zarr.lock", ".b.zarr.1234abcd.tmp"]
        new.mkdir()
    assert names(tmp_path) == [".b.zarr.1234abcd.tmp", "a[1].zarr"]


def test_a_new_folder_that_another_process_writes_is_left_alone(tmp_path):
    (tmp_path / ".a.1234abcd.tmp").mkdir()
    with (
        FileLock(tmp_path / ".a.lock"),
        pytest.raises(RuntimeError, match="another process is writing .*a: wait for it"),
        new_folder(tmp_path / "a"),
    ):
        pytest.fail("was entered")
    assert (tmp_path / ".a.1234abcd.tmp").exists()
