"""Bins and cells that are pooled as they are read: by `io.read`, in a sample sheet, on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import spatialdata as sd
import tifffile
from PIL import Image
from scipy.spatial import cKDTree
from small_xenium import write_xenium
from tests.io.conftest import write_space_ranger
from typer.testing import CliRunner
from visium_hd_folders import MPP, picture, write_bins

import spatialhist as sh
from spatialhist._sdata.images import levels_of
from spatialhist.cli import app
from spatialhist.io._images import image_file

SIZE = 33.0


@pytest.fixture
def outs(tmp_path):
    write_bins(tmp_path / "lung" / "outs", 8, rows=12, columns=17)
    Image.fromarray(picture()).save(tmp_path / "lung" / "outs" / "lung_tissue_image.png")
    return tmp_path / "lung" / "outs"


def summed(bins, spots):
    """Counts of every bin at the spot whose center is nearest."""
    nearest = cKDTree(spots.obsm["spatial"]).query(bins.obsm["spatial"])[1]
    total = np.zeros((spots.n_obs, bins.n_vars))
    np.add.at(total, nearest, bins.X.toarray())
    return total


@pytest.mark.parametrize("stored", [False, True])
def test_spots_take_the_place_of_bins(outs, tmp_path, stored):
    store = tmp_path / "s.zarr" if stored else None
    bins = sh.io.read(outs)["table"]
    sdata = sh.io.read(outs, pool_um=SIZE, store=store)
    if stored:
        sdata = sd.read_zarr(store)
    table = sdata["table"]
    assert list(sdata.tables) == ["table"] and list(sdata.shapes) == ["lung"]
    assert table.obs["region"].unique().tolist() == ["lung"]
    np.testing.assert_array_equal(table.X.toarray(), summed(bins, table))
    assert table.X.sum() == bins.X.sum() and table.n_obs < bins.n_obs / 5
    np.testing.assert_allclose(sdata["lung"]["radius"], SIZE / MPP / 2)
    np.testing.assert_allclose(sdata["lung"].geometry.x, table.obsm["spatial"][:, 0])
    scale = sdata.attrs["spatialhist"]["slides"]
    assert list(scale) == ["lung"] and scale["lung"]["mpp"] == MPP and scale["lung"]["pitch_px"] == SIZE / MPP
    assert list(table.uns["spatial"]) == ["lung"] and "lung_full_image" in sdata.images
    sh.pp.mask_background(sdata, method=lambda image: np.ones(image.shape[:2], dtype=bool))
    sh.pp.filter_spots(sdata, min_counts=1)
    assert (
        sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(extent=("um", 40.0), pixels=20, grid=1))[0]["tile"].shape[-1]
        == 20
    )


def test_a_sheet_pools_row_by_row(outs, tmp_path):
    write_space_ranger(tmp_path / "a" / "outs", header=True)
    write_xenium(tmp_path / "x")
    sheet = tmp_path / "samples.csv"
    sheet.write_text("path,slide,bin_um,pool_um,spots\na/outs,V,,,\nlung/outs,H,8,30,\nx,X,,40,\n")
    sdata = sh.io.read(sheet)
    table = sdata["table"]
    of = {s: table[table.obs["region"] == s] for s in ("V", "H", "X")}
    alone = {"H": sh.io.read(outs, pool_um=30)["table"], "V": sh.io.read(tmp_path / "a" / "outs")["table"]}
    cells = sh.io.read_xenium(tmp_path / "x", spots="cells")["table"]
    for slide, expected in alone.items():
        np.testing.assert_array_equal(of[slide][:, expected.var_names].X.toarray(), expected.X.toarray())
        np.testing.assert_array_equal(of[slide].obsm["spatial"], expected.obsm["spatial"])
    np.testing.assert_array_equal(of["X"][:, cells.var_names].X.toarray(), summed(cells, of["X"]))
    sizes = {s: m["size"] for s, m in table.uns["spatialhist"]["pool_spots"]["slides"].items()}
    assert sizes == {"H": "30 um", "X": "40 um"}
    assert "pool_um" not in table.obs


@pytest.mark.parametrize("name", ["x", "samples.csv", "pooled.csv"])
def test_an_image_of_xenium_is_never_whole_where_there_is_a_store(tmp_path, monkeypatch, name):
    output = write_xenium(tmp_path / "x")
    (tmp_path / "samples.csv").write_text("path,spots\nx,cells\n")
    (tmp_path / "pooled.csv").write_text("path,pool_um\nx,40\n")
    size = {"pool_um": 40} if name == "x" else {}
    expected = levels_of(sh.io.read(tmp_path / name, **size)["x_full_image"])[0].to_numpy()
    np.testing.assert_array_equal(expected, np.moveaxis(tifffile.imread(output / "S_he_image.ome.tif"), -1, 0))
    monkeypatch.setattr(image_file, "in_memory", no_tiff(image_file.in_memory))
    sdata = sh.io.read(tmp_path / name, store=tmp_path / "s.zarr", **size)
    np.testing.assert_array_equal(levels_of(sdata["x_full_image"])[0], expected)


def test_an_image_of_visium_is_never_whole_in_a_sheet_with_a_store(tmp_path, monkeypatch):
    write_space_ranger(tmp_path / "a" / "outs", header=True)
    tifffile.imwrite(tmp_path / "full.tif", picture(), tile=(64, 64), photometric="rgb")
    (tmp_path / "samples.csv").write_text("path,image\na/outs,full.tif\n")
    monkeypatch.setattr(image_file, "in_memory", no_tiff(image_file.in_memory))
    sdata = sh.io.read(tmp_path / "samples.csv", store=tmp_path / "s.zarr")
    np.testing.assert_array_equal(levels_of(sdata["a_full_image"])[0], np.moveaxis(picture(), -1, 0))


def no_tiff(in_memory):
    return lambda pixels, path: pytest.fail(f"{path} was decoded") if path.suffix == ".tif" else in_memory(pixels, path)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a/outs,30,", "line 2, column 'pool_um': 'visium' has no bins or cells to pool"),
        ("lung/outs,0,", "line 2, column 'pool_um' is 0: it must be a size in micrometers above 0"),
        ("lung/outs,inf,", "line 2, column 'pool_um' is inf"),
        ("lung/outs,wide,", "line 2, column 'pool_um' holds 'wide', which is not a number"),
        ("x,30,55", "line 2, column 'pool_um' is for spots='cells', not for spots=.*55.*: give one of them"),
    ],
)
def test_sizes_that_cannot_be_are_refused(outs, tmp_path, row, says):
    write_space_ranger(tmp_path / "a" / "outs", header=True)
    write_xenium(tmp_path / "x")
    (tmp_path / "samples.csv").write_text(f"path,pool_um,spots\n{row}\n")
    with pytest.raises(ValueError, match=says):
        sh.io.read(tmp_path / "samples.csv", store=tmp_path / "new.zarr")
    assert not (tmp_path / "new.zarr").exists()


def test_only_bins_and_cells_are_pooled(outs, tmp_path):
    write_space_ranger(tmp_path / "a" / "outs", header=True)
    (tmp_path / "samples.csv").write_text("path\nlung/outs\n")
    for path, says in {"a/outs": "'visium' has no bins or cells", "samples.csv": "in a column pool_um"}.items():
        with pytest.raises(ValueError, match=says):
            sh.io.read(tmp_path / path, pool_um=30)


def test_the_command_line_pools_and_records_it(outs, tmp_path):
    sheet = tmp_path / "samples.csv"
    sheet.write_text("path,slide,patient\n" + "".join(f"lung/outs,S{i},P{i}\n" for i in (1, 2)))

    def run(*arguments):
        return CliRunner().invoke(app, ["run", *map(str, arguments), "--out", str(tmp_path / "run"), "--json"])

    refused = run(sheet, "--pool-um", 30)
    assert refused.exit_code == 2 and "in a column pool_um" in refused.output
    assert not (tmp_path / "run" / "data.zarr").exists()
    result = run(outs, "--pool-um", 30)  # one slide cannot be cross-validated; what was read stays
    assert result.exit_code == 2, result.output
    attrs = json.loads((tmp_path / "run" / "data.zarr" / "zarr.json").read_text())["attributes"]
    assert "pool_um" in json.dumps(attrs)
    again = run(outs, "--pool-um", 40)
    assert again.exit_code == 2 and "'pool_um': 40.0" in again.output and "choose another --out" in again.output


def test_a_store_that_cannot_be_is_refused_before_anything_is_read(outs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="a.zarr cannot be written: .*file is a file; choose another path"):
        sh.io.read(outs, pool_um=30, store=tmp_path / "file" / "sub" / "a.zarr")
