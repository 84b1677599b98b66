from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
import tifffile
from visium_hd_folders import GENES, MPP, picture, place, write_bins, write_cells, write_matrix

import spatialhist as sh
from spatialhist._sdata.geometry import spot_pixels
from spatialhist._sdata.images import pyramid, read_level

COUNTS, POSITIONS = "filtered_feature_bc_matrix.h5", "spatial/tissue_positions.parquet"


@pytest.fixture
def outs(tmp_path):
    """Bins of 8 and 16 um and cells of sample `brain 1`, without ``feature_slice.h5``."""
    folder = tmp_path / "brain 1" / "outs"
    write_bins(folder, 8)
    write_bins(folder, 16, rows=4, columns=6)
    write_cells(folder)
    return folder


@pytest.fixture
def full_image(tmp_path):
    tifffile.imwrite(
        tmp_path / "slide.btf", picture(), photometric="rgb", bigtiff=True, tile=(64, 64), compression="deflate"
    )
    return tmp_path / "slide.btf"


@pytest.mark.parametrize("bin_um", [8, 16])
@pytest.mark.parametrize("stored", [False, True])
def test_bins_lie_where_the_output_says_with_their_counts(outs, full_image, tmp_path, bin_um, stored):
    store = tmp_path / "s.zarr" if stored else None
    sdata = sh.io.read_visium_hd(outs, bin_um=bin_um, slide="H1", image=full_image, patient="P1", store=store)
    table = sdata["table"]
    assert table.n_obs == {8: 66, 16: 18}[bin_um]
    row, column = table.obs["array_row"].to_numpy(), table.obs["array_col"].to_numpy()
    np.testing.assert_allclose(table.obsm["spatial"], np.column_stack(place(row, column, bin_um)))
    np.testing.assert_array_equal(table.to_df()["A"], row)
    np.testing.assert_array_equal(table.to_df()["B"], column)
    assert table.obs_names[0] == f"H1_s_{bin_um:03d}um_{row[0]:05d}_{column[0]:05d}-1"
    assert table.obs["patient"].unique().tolist() == ["P1"]
    assert table.obs["in_tissue"].all()
    assert table.X.format == "csr"
    assert table.X.dtype == np.float32
    info = sdata.attrs["spatialhist"]["slides"]["H1"]
    assert info == {"mpp": MPP, "pitch_px": bin_um / MPP, "spot_diameter_px": bin_um / MPP}
    np.testing.assert_array_equal(read_level(pyramid(sdata, "H1_full_image"), 0), picture())
    assert set(sdata.images) == {"H1_full_image", "H1_hires_image", "H1_lowres_image"}
    small = spot_pixels(sdata, table, "H1", "H1_hires_image")
    np.testing.assert_allclose(small, table.obsm["spatial"] / 2)
    np.testing.assert_array_equal(table.uns["spatial"]["H1"]["images"]["hires"], picture()[::2, ::2])
    assert table.uns["spatial"]["H1"]["scalefactors"]["tissue_hires_scalef"] == pytest.approx(0.5)


def test_genes_of_one_symbol_are_numbered_and_keep_their_ids(outs):
    table = sh.io.read_visium_hd(outs)["table"]
    assert table.var["gene_ids"].to_dict() == {"A": "ENSG0", "B": "ENSG1", "A-1": "ENSG2", "C": "ENSG3"}


def test_cells_are_circles_of_their_area_around_their_centroid(outs):
    sdata = sh.io.read_visium_hd(outs, bin_um="cells", slide="H1")
    table = sdata["table"]
    assert table.obs_names.tolist() == [f"H1_cellid_{i:09d}-1" for i in (3, 8, 5)]
    np.testing.assert_allclose(table.obsm["spatial"], [[154, 98], [203, 73], [110, 55]])
    np.testing.assert_allclose(table.obs["cell_area"], np.array([144, 36, 200]) * MPP**2)
    np.testing.assert_allclose(sdata.shapes["H1"]["radius"] ** 2 * np.pi, [144, 36, 200])
    assert table.to_df().loc["H1_cellid_000000008-1"].tolist() == [4, 5, 6, 7]
    info = sdata.attrs["spatialhist"]["slides"]["H1"]
    assert info["mpp"] == MPP
    assert info["spot_diameter_px"] == pytest.approx(2 * np.sqrt(144 / np.pi))
    assert info["pitch_px"] == pytest.approx(np.hypot(154 - 203, 98 - 73))


def test_one_folder_of_bins_or_cells_is_enough(outs):
    whole = sh.io.read_visium_hd(outs, bin_um=16)
    bins = outs / "binned_outputs/square_016um"
    assert sh.io.read_visium_hd(bins, bin_um=16)["table"].to_df().equals(whole["table"].to_df())
    assert list(sh.io.read_visium_hd(bins, bin_um=16).shapes) == ["brain_1"]
    assert sh.io.read_visium_hd(outs / "binned_outputs", bin_um=16)["table"].n_obs == 18
    assert sh.io.read_visium_hd(outs / "segmented_outputs", bin_um="cells")["table"].n_obs == 3
    renamed = bins.rename(outs / "large bins")
    assert sh.io.read_visium_hd(renamed, bin_um=16)["table"].n_obs == 18
    for file in sorted(p for p in renamed.rglob("*") if p.is_file()):
        file.rename(file.with_name(f"GSM1_{file.name}"))
    assert sh.io.read_visium_hd(renamed, bin_um=16)["table"].n_obs == 18


def test_the_image_of_the_folder_is_taken_if_it_is_one(outs, full_image):
    assert "brain_1_full_image" not in sh.io.read_visium_hd(outs).images
    (outs / "microscope_image").mkdir()
    first = full_image.rename(outs / "microscope_image/slide.btf")
    for path in (outs, outs / "binned_outputs/square_008um"):
        sdata = sh.io.read_visium_hd(path)
        np.testing.assert_array_equal(read_level(pyramid(sdata, "brain_1_full_image"), 0), picture())
    second = outs / "brain_tissue_image.tif"
    second.write_bytes(first.read_bytes())
    with pytest.raises(ValueError, match=r"holds 2 images, .*slide.btf.*choose .*sh.io.read_visium_hd\(.*image="):
        sh.io.read_visium_hd(outs)
    assert "brain_1_full_image" in sh.io.read_visium_hd(outs, image=second).images


def test_the_image_is_decoded_once_and_never_as_a_whole(outs, full_image, tmp_path, monkeypatch):
    from spatialhist._sdata import pyramids
    from spatialhist.io._images import tiff

    monkeypatch.setattr(pyramids, "MIN_LEVEL_PX", 64)
    largest, read = [], tiff.Plane.__getitem__
    monkeypatch.setattr(tiff, "READ_PX", 128)
    monkeypatch.setattr(tiff.Plane, "__getitem__", lambda s, key: largest.append((p := read(s, key)).size) or p)
    sdata = sh.io.read_visium_hd(outs, slide="H1", image=full_image, store=tmp_path / "s.zarr")
    assert len(pyramid(sdata, "H1_full_image").levels) == 4
    assert 0 < max(largest) <= 128 * 128 * 3
    assert sum(largest) == picture().size


def test_features_that_are_no_genes_are_left_out_and_told(outs):
    counts = outs / "binned_outputs/square_008um" / COUNTS
    barcodes = [f"s_008um_00000_{c:05d}-1" for c in (4, 2)]
    write_matrix(
        counts, barcodes, np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), GENES, ["Gene Expression", "Antibody Capture"] * 2
    )
    with pytest.warns(UserWarning, match="no genes, which are left out: 2 of type 'Antibody Capture'"):
        table = sh.io.read_visium_hd(outs)["table"]
    assert table.var_names.tolist() == ["A", "A-1"]
    assert table.to_df().to_numpy().tolist() == [[1, 3], [5, 7]]


def test_bins_without_a_place_are_left_out_and_counted(outs):
    path = outs / "binned_outputs/square_008um" / POSITIONS
    frame = pd.read_parquet(path)
    frame[frame["array_col"] != 10].to_parquet(path)
    with pytest.warns(UserWarning, match=f"6 of 66 barcodes of .*{COUNTS} have no place in .*parquet"):
        table = sh.io.read_visium_hd(outs)["table"]
    assert table.n_obs == 60
    np.testing.assert_array_equal(table.to_df()["B"], table.obs["array_col"])


def test_bins_that_lie_as_those_of_another_size_are_told(outs):
    path = outs / "binned_outputs/square_008um" / POSITIONS
    frame = pd.read_parquet(path)
    frame[["array_row", "array_col"]] *= 2
    frame[["pxl_row_in_fullres", "pxl_col_in_fullres"]] *= 2
    frame.to_parquet(path)
    with pytest.warns(UserWarning, match="lie 32.01 pixels apart, but are 16 pixels wide"):
        sdata = sh.io.read_visium_hd(outs, slide="H1")
    assert sdata.attrs["spatialhist"]["slides"]["H1"]["pitch_px"] == pytest.approx(32.01, abs=0.01)


def drop(name):
    return lambda folder: (folder / name).unlink()


def cut(name, share=0.6):
    def damage(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return damage


def factors(**changes):
    def damage(folder):
        path = folder / "spatial/scalefactors_json.json"
        stored = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in stored.items() if v is not None}))

    return damage


def take(name):
    """Replace a file by that of the bins of 16 um."""
    return lambda folder: (folder / name).write_bytes((folder.with_name("square_016um") / name).read_bytes())


def renamed(folder):
    frame = pd.read_parquet(folder / POSITIONS)
    frame.assign(barcode="x" + frame["barcode"]).to_parquet(folder / POSITIONS)


def outside(folder):
    with h5py.File(folder / COUNTS, "r+") as file:
        file["matrix/indices"][3] = 9


BINS = {
    "no positions": (drop(POSITIONS), FileNotFoundError, "missing .*square_008um/spatial/tissue_positions.parquet"),
    "no counts": (drop(COUNTS), FileNotFoundError, f"missing .*square_008um/{COUNTS}"),
    "no scale factors": (drop("spatial/scalefactors_json.json"), FileNotFoundError, "missing .*scalefactors_json.json"),
    "counts cut": (cut(COUNTS), ValueError, f"square_008um/{COUNTS} is .*broken"),
    "positions cut": (cut(POSITIONS), ValueError, "tissue_positions.parquet cannot be read as Parquet: .*Copy it again"),
    "scale factors cut": (cut("spatial/scalefactors_json.json"), ValueError, "scalefactors_json.json cannot be read"),
    "no scale": (factors(microns_per_pixel=None), ValueError, "scalefactors_json.json has no 'microns_per_pixel'"),
    "scale of no number": (factors(microns_per_pixel="x"), ValueError, "holds microns_per_pixel='x': want a positive"),
    "bins wider than said": (factors(spot_diameter_fullres=32.0), ValueError, "contradicts itself: .*which are 16 um"),
    "scale factors of other bins": (
        take("spatial/scalefactors_json.json"), ValueError,
        "scalefactors_json.json is of bins of 16 um, not of 8 um: .*bin_um=16",
    ),
    "counts of other bins": (take(COUNTS), ValueError, f"{COUNTS} is of bins of 16 um, not of 8 um"),
    "positions of other bins": (
        take(POSITIONS), ValueError, "none of 66 barcodes of .* e.g. 's_008um_.*, which has e.g. 's_016um_.*same output",
    ),
    "other ids": (renamed, ValueError, "none of 66 barcodes .* is in .*parquet, which has e.g. 'xs_008um_00000_00000-1'"),
    "a gene that is none": (outside, ValueError, f"{COUNTS} is a broken sparse matrix: it holds a value at position 9 of 4"),
}  # fmt: skip


@pytest.mark.parametrize("damage", BINS)
def test_bins_that_cannot_be_read_are_named_and_nothing_is_written(outs, tmp_path, damage):
    change, error, message = BINS[damage]
    change(outs / "binned_outputs/square_008um")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        sh.io.read_visium_hd(outs, store=tmp_path / "s.zarr")
    assert sorted(tmp_path.rglob("*")) == before
    assert sh.io.read_visium_hd(outs, bin_um=16)["table"].n_obs == 18


OUTLINES = "cell_segmentations.geojson"


def other_cells(folder):
    path = folder / OUTLINES
    path.write_text(path.read_text().replace('"cell_id": ', '"cell_id": 9'))


def twice(folder):
    path = folder / OUTLINES
    path.write_text(path.read_text().replace('"cell_id": 3', '"cell_id": 5'))


CELLS = {
    "no outlines": (drop(OUTLINES), FileNotFoundError, f"missing .*segmented_outputs/{OUTLINES}"),
    "outlines cut": (cut(OUTLINES), ValueError, f"{OUTLINES} cannot be read as GeoJSON"),
    "no JSON": (lambda f: (f / OUTLINES).write_text("<xml>"), ValueError, f"{OUTLINES} cannot be .*holds no JSON object"),
    "no ids": (lambda f: (f / OUTLINES).write_text((f / OUTLINES).read_text().replace("cell_id", "id_")), ValueError, OUTLINES),
    "other cells": (other_cells, ValueError, "none of 3 barcodes .*'cellid_000000003-1' .*'cellid_000000095-1'"),
    "a cell twice": (twice, ValueError, f"{OUTLINES} holds cells twice, e.g. 'cellid_000000005-1'"),
    "counts cut": (cut("filtered_feature_cell_matrix.h5"), ValueError, "filtered_feature_cell_matrix.h5 is .*broken"),
}  # fmt: skip


@pytest.mark.parametrize("damage", CELLS)
def test_cells_that_cannot_be_read_are_named(outs, tmp_path, damage):
    change, error, message = CELLS[damage]
    change(outs / "segmented_outputs")
    with pytest.raises(error, match=message):
        sh.io.read_visium_hd(outs, bin_um="cells", store=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("bin_um", [2, 7, "8", "cell", None, [8]])
def test_sizes_that_there_are_none_of_are_answered_by_those_that_there_are(outs, bin_um):
    with pytest.raises(ValueError, match="outs holds nothing of bin_um=.*: it has bin_um=8, bin_um=16, bin_um='cells'"):
        sh.io.read_visium_hd(outs, bin_um=bin_um)


def test_a_folder_of_something_else_is_named(outs, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither binned_outputs/square_008um .*did you mean .*brain 1/outs\?"):
        sh.io.read_visium_hd(outs.parent)
    with pytest.raises(FileNotFoundError, match="no image .*nothing.tif"):
        sh.io.read_visium_hd(outs, image=tmp_path / "nothing.tif")
    with pytest.raises(ValueError, match="try 'a_b'"):
        sh.io.read_visium_hd(outs, slide="a b")
    with pytest.raises(ValueError, match=r"is an output of Visium HD: read it with sh.io.read_visium_hd\(path\)"):
        sh.io.read_visium(outs)


def test_an_image_that_breaks_while_it_is_decoded_leaves_no_store(outs, full_image, tmp_path):
    data = bytearray(full_image.read_bytes())
    with tifffile.TiffFile(full_image) as file:
        at = file.pages[0].dataoffsets[5]
    data[at : at + 20] = b"\xff" * 20
    full_image.write_bytes(data)
    with pytest.raises(ValueError, match="slide.btf is damaged"):
        sh.io.read_visium_hd(outs, image=full_image, store=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore:bins of slide", "ignore:.* barcodes of .* have no place")
@pytest.mark.parametrize(
    ("folder", "bin_um"), [("visium_hd_002um", 2), ("visium_hd_layout", 8), ("visium_hd_layout", 16)]
)
def test_published_folders_hold_what_pandas_and_h5py_read(data_root, folder, bin_um, tmp_path):
    from scipy.sparse import csc_matrix

    folder = data_root / "formats" / folder
    path = folder / f"binned_outputs/square_{bin_um:03d}um"
    sh.io.read_visium_hd(folder, bin_um=bin_um, slide="H1", store=tmp_path / "s.zarr")
    sdata = sd.read_zarr(tmp_path / "s.zarr")
    table = sdata["table"]
    positions = pd.read_parquet(path / POSITIONS).set_index("barcode")
    with h5py.File(path / COUNTS) as file:
        m = {k: file[f"matrix/{k}"][:] for k in ("data", "indices", "indptr", "shape", "barcodes", "features/id")}
    barcodes = [b.decode() for b in m["barcodes"]]
    counts = pd.DataFrame.sparse.from_spmatrix(
        csc_matrix((m["data"], m["indices"], m["indptr"]), shape=m["shape"]).T, index=barcodes
    ).sparse.to_dense()
    both = [b for b in barcodes if b in positions.index]
    assert table.obs_names.tolist() == [f"H1_{b}" for b in both]
    np.testing.assert_array_equal(table.X.toarray(), counts.loc[both])
    np.testing.assert_array_equal(
        table.obsm["spatial"], positions.loc[both, ["pxl_col_in_fullres", "pxl_row_in_fullres"]]
    )
    np.testing.assert_array_equal(table.obs["in_tissue"], positions.loc[both, "in_tissue"])
    assert table.var["gene_ids"].tolist() == [g.decode() for g in m["features/id"]]
    said = json.loads((path / "spatial/scalefactors_json.json").read_text())
    info = sdata.attrs["spatialhist"]["slides"]["H1"]
    assert info["mpp"] == said["microns_per_pixel"]
    assert info["spot_diameter_px"] == pytest.approx(said["spot_diameter_fullres"])


@pytest.mark.parametrize("size", [(60, 60), (141, 100)])
def test_an_image_that_does_not_belong_is_refused(outs, tmp_path, size):
    tifffile.imwrite(tmp_path / "other.tif", np.full((size[1], size[0], 3), 200, np.uint8), photometric="rgb")
    with (
        pytest.warns(UserWarning, match="not the one that positions were measured on"),
        pytest.raises(
            ValueError, match="other.tif does not belong to the spots: .* spots of slide .* lie outside of it"
        ),
    ):
        sh.io.read_visium_hd(outs, image=tmp_path / "other.tif", store=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


DAMAGE = {
    "no number": (lambda m: _replace(m, "data", b"a"), "a broken sparse matrix: it holds .S1, not numbers"),
    "another encoding": (
        lambda m: _replace(m, "features/name", b"\xe9"),
        "or a broken one: 'utf-8' codec can't decode",
    ),
    "no genes": (
        lambda m: _replace(m, "features/feature_type", b"Antibody Capture"),
        r"holds no features of type 'Gene Expression'; it has \['Antibody Capture'\]",
    ),
}


def _replace(matrix, name, value):
    n = len(matrix[name])
    del matrix[name]
    matrix[name] = np.array([value] * n)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_matrix_without_counts_of_genes_is_refused_by_name(outs, tmp_path, kind):
    damage, says = DAMAGE[kind]
    path = outs / "binned_outputs/square_008um/filtered_feature_bc_matrix.h5"
    with h5py.File(path, "r+") as file:
        damage(file["matrix"])
    with pytest.raises(ValueError, match=f"filtered_feature_bc_matrix.h5 .*{says}"):
        sh.io.read_visium_hd(outs, store=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({}, "1 of its 3 outlines have no number as properties.cell_id"),
        ({"cell_id": "five"}, "1 of its 3 outlines have no number as properties.cell_id"),
        (None, "it holds no outlines"),
    ],
)
def test_cells_without_ids_are_told(tmp_path, properties, says):
    path = write_cells(tmp_path) / "cell_segmentations.geojson"
    held = json.loads(path.read_text())
    if properties is None:
        held["features"] = []
    else:
        held["features"][0]["properties"] = properties
    path.write_text(json.dumps(held))
    with pytest.raises(ValueError, match=f"cell_segmentations.geojson .*{says}"):
        sh.io.read_visium_hd(tmp_path, bin_um="cells")
