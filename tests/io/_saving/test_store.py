from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import spatialdata as sd
from spatialdata.transformations import Translation, get_transformation, set_transformation

from spatialhist import _keys
from spatialhist._sdata.build import build_slide
from spatialhist._sdata.images import add_image, add_mask
from spatialhist._sdata.records import open_records
from spatialhist.io._assembly.cohort import open_store
from spatialhist.io._saving import exchange
from spatialhist.io._saving.store import save_changes


def small() -> sd.SpatialData:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, 60, 90), dtype=np.uint8)
    counts = sp.csr_matrix(rng.poisson(3, (12, 5)).astype(np.float32))
    return build_slide(
        image, rng.uniform(5, 55, (12, 2)), counts, slide="S1", genes=list("ABCDE"), patient="P", spot_diameter_px=6.0
    )


def change(sdata: sd.SpatialData) -> None:
    """Add and change something of every kind."""
    table = sdata["table"]
    table.layers["new"] = np.arange(60, dtype=np.float32).reshape(12, 5)
    table.X = table.X * 2
    table.obs["grade"] = np.arange(12)
    table.obs["measured"] = False
    table.var["selected"] = [True, False] * 2 + [True]
    table.obsp["near"] = sp.eye(12, format="csr")
    table.uns["spatialhist"] = {"new": {"a": 1, "names": ["x", "y"]}}
    add_mask(sdata, np.ones((30, 45), dtype=bool), image="S1_full_image")
    add_image(sdata, "S1_full_image_normalized", 255 - sdata["S1_full_image"].data, like="S1_full_image")
    set_transformation(sdata["S1"], Translation([3, 4], axes=("x", "y")), "S1")
    sdata.attrs["spatialhist"]["slides"]["S1"]["mpp"] = 0.5


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "a.zarr"
    small().write(path)
    return path


@pytest.fixture
def stored(template, tmp_path) -> sd.SpatialData:
    shutil.copytree(template, tmp_path / "a.zarr")
    return sd.read_zarr(tmp_path / "a.zarr")


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file: a file that was written again differs."""
    found = [p for p in folder.rglob("*") if p.is_file() and p.name != exchange.LOCK]
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}


def where(element) -> dict[str, list[list[float]]]:
    """Matrices of x and y: images are read back with their channels among the axes."""
    found = get_transformation(element, get_all=True)
    return {name: t.to_affine_matrix(("x", "y"), ("x", "y")).tolist() for name, t in found.items()}


def assert_equal(a: sd.SpatialData, b: sd.SpatialData) -> None:
    assert {n for _, n, _ in a.gen_elements()} == {n for _, n, _ in b.gen_elements()}
    assert a.attrs == b.attrs
    ours, theirs = a["table"], b["table"]
    pd.testing.assert_frame_equal(ours.obs, theirs.obs)
    pd.testing.assert_frame_equal(ours.var, theirs.var)
    assert (ours.X != theirs.X).nnz == 0
    for name in ("layers", "obsm", "obsp", "varm", "uns"):
        assert set(getattr(ours, name)) == set(getattr(theirs, name))
    for kind, name, element in a.gen_spatial_elements():
        assert where(element) == where(b[name])
        if kind in ("images", "labels"):
            np.testing.assert_array_equal(np.asarray(element.data), np.asarray(b[name].data))
        else:
            assert element.geometry.geom_equals(b[name].geometry).all()


def test_everything_new_and_changed_is_read_back(stored):
    change(stored)
    written = save_changes(stored)
    back = sd.read_zarr(stored.path)
    assert_equal(back, stored)
    np.testing.assert_array_equal(back["table"].layers["new"], stored["table"].layers["new"])
    assert {"tables/table/layers/new", "tables/table/obs/grade", "labels/S1_full_image_tissue", "attrs"} <= set(written)
    assert not (Path(stored.path) / exchange.STAGE).exists()
    assert back.has_consolidated_metadata()


def test_the_rest_is_not_rewritten(stored):
    before = files(Path(stored.path))
    stored["table"].layers["new"] = np.zeros((12, 5), dtype=np.float32)
    assert save_changes(stored) == ["tables/table/layers/new"]
    after = files(Path(stored.path))
    touched = {path for path in before if after.get(path) != before[path]}
    assert touched == {"zarr.json"}
    added = {path for path in set(after) - set(before) if not path.startswith(_keys.STORE_FOLDER)}
    assert all(path.startswith("tables/table/layers/new") for path in added)


def test_saving_twice_writes_nothing(stored):
    change(stored)
    save_changes(stored)
    before = files(Path(stored.path))
    assert save_changes(stored) == []
    assert files(Path(stored.path)) == before
    assert save_changes(sd.read_zarr(stored.path)) == []


def test_object_that_was_written_and_not_read_again(tmp_path):
    sdata = small()
    sdata.write(tmp_path / "a.zarr")
    assert save_changes(sdata) == []
    change(sdata)
    save_changes(sdata)
    assert_equal(sd.read_zarr(sdata.path), sdata)


def test_lazy_images_read_from_the_store_afterwards(stored):
    calls = []

    def count(block):
        calls.append(block.shape)
        return 255 - block

    lazy = da.map_blocks(count, stored["S1_full_image"].data, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    add_image(stored, "S1_full_image_normalized", lazy, like="S1_full_image")
    save_changes(stored)
    assert calls
    calls.clear()
    np.asarray(stored["S1_full_image_normalized"].data)
    assert not calls
    assert stored["S1_full_image_normalized"].coords["c"].values.tolist() == ["r", "g", "b"]


def test_an_image_computed_from_its_own_stored_self_can_replace_it(stored):
    original = np.asarray(stored["S1_full_image"].data)
    add_image(stored, "S1_full_image", 255 - stored["S1_full_image"].data, like="S1_full_image")
    assert save_changes(stored) == ["images/S1_full_image"]
    np.testing.assert_array_equal(np.asarray(stored["S1_full_image"].data), 255 - original)
    np.testing.assert_array_equal(np.asarray(sd.read_zarr(stored.path)["S1_full_image"].data), 255 - original)


def test_moving_an_image_writes_its_transformation_alone(stored):
    set_transformation(stored["S1_full_image"], Translation([1, 2], axes=("x", "y")), "S1")
    assert save_changes(stored) == ["transformations of S1_full_image"]
    moved = get_transformation(sd.read_zarr(stored.path)["S1_full_image"], "S1")
    np.testing.assert_array_equal(moved.to_affine_matrix(("x", "y"), ("x", "y"))[:2, 2], [1, 2])


def test_dropping_spots_replaces_table_and_shapes(stored):
    keep = np.arange(12) % 3 > 0
    table, shapes = stored["table"][keep].copy(), stored["S1"][keep]
    del stored.tables["table"], stored.shapes["S1"]
    stored.shapes["S1"], stored.tables["table"] = shapes, table
    assert set(save_changes(stored)) == {"shapes/S1", "tables/table"}
    assert_equal(sd.read_zarr(stored.path), stored)


def test_what_the_table_lost_is_removed_and_elements_stay(stored):
    change(stored)
    save_changes(stored)
    table = stored["table"]
    del table.layers["new"], table.obs["grade"], table.uns["spatialhist"], stored.labels["S1_full_image_tissue"]
    lost = {"tables/table/layers/new", "tables/table/obs/grade", "tables/table/uns/spatialhist/new"}
    assert set(save_changes(stored)) == {*lost, "columns of tables/table/obs"}
    back = sd.read_zarr(stored.path)
    assert "new" not in back["table"].layers
    assert "grade" not in back["table"].obs
    assert "S1_full_image_tissue" in back.labels


def test_new_order_of_columns_is_kept(stored):
    stored["table"].obs = stored["table"].obs[stored["table"].obs.columns[::-1]]
    assert save_changes(stored) == ["columns of tables/table/obs"]
    assert list(sd.read_zarr(stored.path)["table"].obs) == list(stored["table"].obs)


def test_new_tables_and_shapes_of_a_grid(stored):
    grid = stored["S1"].copy()
    other = stored["table"].copy()
    other.obs["region"] = pd.Categorical(["S1_grid"] * 12)
    other.uns["spatialdata_attrs"]["region"] = "S1_grid"
    stored.shapes["S1_grid"], stored.tables["S1_grid_table"] = grid, other
    assert set(save_changes(stored)) == {"shapes/S1_grid", "tables/S1_grid_table"}
    assert sd.read_zarr(stored.path)["S1_grid_table"].n_obs == 12


@pytest.mark.parametrize("value", [(1, 2), {"inner": (1,)}, {"a/b": 1}, object()])
def test_what_zarr_cannot_hold_is_named_and_nothing_changes(stored, value):
    change(stored)
    stored["table"].uns["bad"] = value
    before = files(Path(stored.path))
    with pytest.raises(ValueError, match=r"uns\['bad'\] of table 'table' cannot be stored"):
        save_changes(stored)
    assert files(Path(stored.path)) == before


def test_attrs_that_json_cannot_hold_are_named(stored):
    stored.attrs["bad"] = np.arange(3)
    with pytest.raises(ValueError, match=r"attrs\['bad'\]"):
        save_changes(stored)


def test_object_without_store_says_what_to_do():
    with pytest.raises(ValueError, match=r"sdata.write\(path\)"):
        save_changes(small())


class Killed(BaseException):
    """Stands for a signal: nothing but the test catches it."""


def break_at(monkeypatch, step: int, error: BaseException) -> None:
    """Let the rename with this number raise."""
    replace, left = os.replace, [step]

    def renamed(source, target):
        if left[0] == 0:
            raise error
        left[0] -= 1
        replace(source, target)

    monkeypatch.setattr("os.replace", renamed)


def break_once(monkeypatch, step: int, error: BaseException) -> None:
    """Let one rename raise and all others succeed; those that only prepare something in the stage do not count."""
    replace, left = os.replace, [step]

    def renamed(source, target):
        _, _, staged = str(target).partition(f"{exchange.STAGE}{os.sep}")
        left[0] -= staged in ("", "journal.json") or staged.startswith("old")
        if left[0] < 0:
            left[0] = 10**9
            raise error
        replace(source, target)

    monkeypatch.setattr("os.replace", renamed)


def die_at(monkeypatch, step: int, sdata: sd.SpatialData) -> bool:
    """Save until the rename with this number, after which nothing at all happens; False if there are fewer."""
    with monkeypatch.context() as dead:
        break_once(dead, step, Killed())
        # the first call clears what an earlier save left; the second would come after the signal
        dead.setattr("spatialhist.io._saving.exchange.recover", iter_once(exchange.recover))
        try:
            save_changes(sdata)
        except Killed:
            return True
    return False


def iter_once(function):
    """Call a function the first time and do nothing afterwards."""
    calls = []

    def once(*args):
        calls.append(args)
        if len(calls) == 1:
            function(*args)

    return once


def change_more(sdata: sd.SpatialData) -> None:
    """Change something of every kind that a save can change, and drop what it can drop."""
    change(sdata)
    set_transformation(sdata["S1_hires_image"], Translation([1, 2], axes=("x", "y")), "S1")
    table = sdata["table"]
    del table.layers["old"], table.obs["old"], table.uns["spatialhist"]
    table.uns["spatialhist"] = {"new": {"step": "twice"}}
    table.X = table.X.copy()


@pytest.fixture
def richer(stored) -> sd.SpatialData:
    """A store with something to move and to drop."""
    table = stored["table"]
    table.layers["old"] = np.full((12, 5), 3, np.float32)
    table.obs["old"] = np.arange(12)[::-1].copy()
    table.uns["spatialhist"] = {"old": {"step": "once"}, "new": {"step": "once"}}
    add_image(stored, "S1_hires_image", np.full((3, 20, 30), 9, np.uint8), like="S1_full_image")
    save_changes(stored)
    return sd.read_zarr(stored.path)


def is_equal(a: sd.SpatialData, b: sd.SpatialData) -> bool:
    try:
        assert_equal(a, b)
    except AssertionError:
        return False
    for sdata in (a, b):
        open_records(sdata["table"])
    ours, theirs = (
        json.dumps(s["table"].uns, default=lambda v: np.asarray(v).tolist(), sort_keys=True) for s in (a, b)
    )
    return ours == theirs


LAST = 30
SOME = (0, 1, 2, 6, 9, 16, 20, 26, 28)
STEPS = [step if step in SOME else pytest.param(step, marks=pytest.mark.slow) for step in range(LAST)]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_rename_a_store_is_wholly_old_or_wholly_new(richer, monkeypatch, step):
    store = Path(richer.path)
    change_more(richer)
    assert die_at(monkeypatch, step, richer)
    assert len({"S1", "table"} - {n for _, n, _ in sd.read_zarr(store).gen_elements()}) <= 1
    now = open_store(store)
    assert is_equal(now, richer) == (step > 0)
    if step == 0:
        assert set(now["table"].layers) == {"old"} and len(now.images) == 2
        change_more(now)
    save_changes(now)
    back = open_store(store)
    assert is_equal(back, now) and back["table"].uns["spatialhist"]["new"] == {"step": "twice"}
    assert back.has_consolidated_metadata() and not (store / exchange.STAGE).exists()


def test_there_are_no_other_renames(richer, monkeypatch):
    change_more(richer)
    assert not die_at(monkeypatch, LAST, richer)


@pytest.mark.parametrize("step", [0, 2, 6, 9, 20, 40])
def test_a_failing_disk_leaves_all_old_or_all_new(stored, monkeypatch, step):
    old = sd.read_zarr(stored.path)
    change(stored)
    with monkeypatch.context() as full:
        break_at(full, step, OSError("disk full"))
        with pytest.raises(OSError, match="disk full"):
            save_changes(stored)
    now = open_store(Path(stored.path))
    assert is_equal(now, old) or is_equal(now, stored)
    save_changes(stored)
    assert_equal(sd.read_zarr(stored.path), stored)


def test_an_error_after_the_decision_ends_with_all_new(stored, monkeypatch):
    change(stored)
    store = Path(stored.path)
    decided, renames = exchange.decide, []

    def decide(*args):
        decided(*args)
        break_once(monkeypatch, 3, Killed())
        renames.append(True)

    monkeypatch.setattr(exchange, "decide", decide)
    with pytest.raises(Killed):
        save_changes(stored)
    monkeypatch.undo()
    assert renames and not (store / exchange.STAGE).exists()
    assert is_equal(sd.read_zarr(store), stored)
    assert save_changes(stored) == []


def test_a_store_that_may_not_be_written_to_is_not_read_half_saved(stored, monkeypatch):
    change(stored)
    assert die_at(monkeypatch, 5, stored)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as read_only:
        read_only.setattr(exchange, "recover", refuse)
        with pytest.raises(PermissionError, match="killed while it saved.*open it once where it may be written to"):
            open_store(Path(stored.path))
    assert is_equal(open_store(Path(stored.path)), stored)


KILL = """
    import os, signal, sys
    sys.path.insert(0, sys.argv[1])
    import spatialdata as sd, test_store
    from spatialhist.io._saving.store import save_changes

    sdata = sd.read_zarr(sys.argv[2])
    test_store.change(sdata)
    replace, left = os.replace, [int(sys.argv[3])]

    def die(source, target):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        replace(source, target)

    os.replace = die
    save_changes(sdata)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_process_killed_while_saving_leaves_a_store_that_opens(stored):
    path = str(stored.path)
    run = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(KILL), str(Path(__file__).parent), path, "3"]
    assert subprocess.run(run, capture_output=True).returncode == -signal.SIGKILL
    sd.read_zarr(path)
    change(stored)
    save_changes(stored)
    assert_equal(sd.read_zarr(path), stored)


def test_masks_are_listed_where_ome_zarr_wants_them(stored):
    add_mask(stored, np.ones((30, 45), dtype=bool), image="S1_full_image")
    save_changes(stored)
    assert json.loads((Path(stored.path) / "labels" / "zarr.json").read_text())["attributes"]["ome"]["labels"] == [
        "S1_full_image_tissue"
    ]


# ----------------------------------------------------------------------------------------------------------------------
# stores of strangers


def test_a_journal_names_frames_of_its_own_store_alone(stored, template, tmp_path):
    victim = Path(shutil.copytree(template, tmp_path / "victim.zarr"))
    before, stage = files(victim), Path(stored.path) / exchange.STAGE
    beside = "../victim.zarr/tables/table/obs"
    for path in (
        str(victim / "tables/table/obs"),
        beside,
        f"tables/{beside}",
        "tables/../obs",
        "",
        "/",
        ".",
        exchange.STAGE,
    ):
        for step in ({"path": path, "new": None}, {"path": "tables/table/obs", "new": path}):
            stage.mkdir(exist_ok=True)
            (stage / "journal.json").write_text(json.dumps([step]))
            with pytest.raises(ValueError, match=r"journal\.json is no journal|leads outside"):
                save_changes(stored)
    for content in ("[1]", '{"tables": [1]}', '[{"path": 3, "new": null}]', '[{"path": "tables"}]', "{", "3", '["ab"]'):
        (stage / "journal.json").write_text(content)
        with pytest.raises(ValueError, match=r"journal\.json is no journal.*remove the folder"):
            save_changes(stored)
    assert files(victim) == before
    shutil.rmtree(stage)
    save_changes(stored)


@pytest.mark.parametrize("link", ["", "old", "old/images", "journal.json", "after"])
def test_a_stage_with_links_is_refused(stored, link, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "zarr.json").write_text("{}")
    path = Path(stored.path) / exchange.STAGE / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(home)
    before = files(home)
    with pytest.raises(ValueError, match="link.*remove"):
        save_changes(stored)
    assert files(home) == before


@pytest.mark.parametrize(
    "part", ["tables", "tables/table", "tables/table/layers", "tables/table/obs", "images", "shapes"]
)
def test_nothing_is_written_through_a_link_of_a_store(stored, part, tmp_path):
    store, outside = Path(stored.path), tmp_path / "outside"
    shutil.move(store / part, outside)
    (store / part).symlink_to(outside)
    sdata = sd.read_zarr(store)
    change(sdata)
    before, own = files(outside), files(store)
    with pytest.raises(ValueError, match=r"leads outside of .*a\.zarr, to .*outside"):
        save_changes(sdata)
    written = files(store)
    assert files(outside) == before and written == own


def test_what_lies_in_a_stage_is_not_put_outside(stored, tmp_path):
    store, outside = Path(stored.path), tmp_path / "outside"
    shutil.move(store / "images", outside)
    (store / "images").symlink_to(outside)
    kept = store / exchange.STAGE / "images" / "S9"
    kept.mkdir(parents=True)
    (kept / "zarr.json").write_text("{}")
    (store / exchange.STAGE / "journal.json").write_text(json.dumps([{"path": "images/S9", "new": "images/S9"}]))
    before = files(outside)
    with pytest.raises(ValueError, match="images.S9 leads outside"):
        save_changes(stored)
    assert files(outside) == before and (kept / "zarr.json").exists()
