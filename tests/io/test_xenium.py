"""A Xenium output becomes a slide in the pixels of its H&E image."""

import logging
import shutil
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
import tifffile
from small_cohorts import FAST
from small_xenium import (
    GENES,
    PIXEL_SIZE,
    TURNED,
    make_transcripts,
    picture,
    to_um,
    write_alignment,
    write_image,
    write_landmarks,
    write_synthetic,
    write_xenium,
)
from typer.testing import CliRunner

import spatialhist as sh
from spatialhist.cli import app

MPP = PIXEL_SIZE * np.hypot(0.0099, 1.2896)


@pytest.fixture
def folder(tmp_path):
    return write_xenium(tmp_path / "output XETG" / "outs")


@pytest.mark.parametrize("stored", [True, False])
def test_spots_lie_in_pixels_of_the_image(folder, tmp_path, stored):
    store = tmp_path / "s.zarr" if stored else None
    sdata = sh.io.read_xenium(folder, spots=("um", 17), slide="X1", patient="P1", store=store)
    table, info = sdata["table"], sdata.attrs["spatialhist"]["slides"]["X1"]
    xy = table.obsm["spatial"]
    assert list(sdata.images) == ["X1_full_image"]
    assert np.array_equal(np.moveaxis(np.asarray(sdata["X1_full_image"]), 0, -1), picture())
    np.testing.assert_allclose([info["mpp"], info["pitch_px"], info["spot_diameter_px"]], [MPP, 17 / MPP, 17 / MPP])
    np.testing.assert_allclose(np.column_stack([sdata["X1"].geometry.x, sdata["X1"].geometry.y]), xy)
    np.testing.assert_allclose(sdata["X1"]["radius"], 17 / MPP / 2)
    assert table.obs["region"].unique().tolist() == ["X1"] and table.obs["patient"].unique().tolist() == ["P1"]
    frame = make_transcripts()
    good = frame[frame["is_gene"] & (frame["qv"] >= 20)]
    distance = np.linalg.norm(to_um(xy)[:, None] - good[["x_location", "y_location"]].to_numpy()[None], axis=2)
    expected = pd.crosstab(distance.argmin(axis=0), good["feature_name"].to_numpy())
    assert np.array_equal(table.to_df(), expected) and list(table.var_names) == sorted(GENES)
    assert table.uns["spatial"]["X1"]["images"]["hires"].shape[2] == 3


def test_a_matrix_and_landmarks_place_spots_alike(folder, tmp_path):
    image = folder / "S_he_image.ome.tif"
    landmarks = write_landmarks(tmp_path / "landmarks.csv")
    by = [sh.io.read_xenium(folder, image=image, alignment=a)["table"].obsm["spatial"] for a in (None, landmarks)]
    assert np.abs(by[0] - by[1]).max() * MPP < 0.1


def test_cells_keep_their_size_and_columns(folder):
    sdata = sh.io.read_xenium(folder, spots="cells", slide="X1")
    table = sdata["table"]
    frame = pd.read_parquet(folder / "cells.parquet").iloc[::-1]
    assert table.obs["spot_id"].tolist() == frame["cell_id"].tolist()
    np.testing.assert_allclose(table.obsm["spatial"], [[390, 280], [200, 150], [120, 80], [50, 60]], atol=1e-6)
    np.testing.assert_allclose(sdata["X1"]["radius"] * MPP, np.sqrt(frame["cell_area"] / np.pi))
    assert table.obs["cell_area"].tolist() == frame["cell_area"].tolist()
    assert table.to_df().to_numpy().tolist() == [[4, 1], [0, 0], [0, 7], [2, 1]]
    assert table.var["gene_ids"].tolist() == ["ENSG1", "ENSG2"]


def test_what_was_left_out_and_how_the_image_lies_is_logged_and_kept(folder, tmp_path, caplog):
    landmarks = write_landmarks(tmp_path / "l.csv", noise_um=1.0)
    with caplog.at_level(logging.INFO, logger="spatialhist"):
        sdata = sh.io.read_xenium(
            folder, image=folder / "S_he_image.ome.tif", alignment=landmarks, slide="X1", store=tmp_path / "s.zarr"
        )
    kept = sd.read_zarr(tmp_path / "s.zarr").attrs["spatialhist"]["slides"]["X1"]["xenium"]
    frame = make_transcripts()
    assert kept["counted"] == sdata["table"].X.sum() == (frame["is_gene"] & (frame["qv"] >= 20)).sum()
    assert kept["low_quality"] == (frame["is_gene"] & (frame["qv"] < 20)).sum()
    assert kept["controls"] == frame.loc[~frame["is_gene"], "codeword_category"].value_counts().to_dict()
    assert 0 < kept["residual_um"] < 2 and kept["alignment_file"] == str(landmarks)
    np.testing.assert_allclose(np.array(kept["alignment"])[:2, :2], TURNED[:2, :2] * PIXEL_SIZE, atol=0.02)
    assert f"left out {kept['low_quality']} of low quality" in caplog.text
    assert f"landmarks {kept['residual_um']:.3g} um apart after the fit" in caplog.text


def test_the_folder_names_the_slide_and_read_tells_it_apart(folder):
    assert list(sh.io.read(folder).shapes) == ["output_XETG"]
    assert list(sh.io.read(folder, slide="X7").shapes) == ["X7"]
    with pytest.raises(ValueError, match="mpp is for image files"):
        sh.io.read(folder, mpp=0.5)
    (folder / "transcripts.parquet").unlink()
    assert sh.io.read(folder)["table"].n_obs == 4
    with pytest.raises(ValueError, match=r"is a Xenium output: read it with sh.io.read_xenium\(path\)"):
        sh.io.read_visium(folder)


def test_without_an_image_positions_are_micrometers(folder):
    (folder / "S_he_image.ome.tif").unlink()
    with pytest.warns(UserWarning, match=r"slide 'X1' has no H&E image, .*image=, .* as alignment="):
        sdata = sh.io.read_xenium(folder, spots="cells", slide="X1")
    frame = pd.read_parquet(folder / "cells.parquet").iloc[::-1]
    np.testing.assert_allclose(sdata["table"].obsm["spatial"], frame[["x_centroid", "y_centroid"]])
    assert sdata.attrs["spatialhist"]["slides"]["X1"]["mpp"] == 1.0
    sh.pp.log_normalize(sdata)
    with pytest.raises(KeyError, match="no image 'X1_full_image'"):
        sh.pp.mask_background(sdata)


def _he(change, **options):
    """Replace the image or the alignment of the folder."""

    def make(folder):
        change(folder)
        return options

    return make


ALIGNMENT = "S_he_imagealignment.csv"
ELSEWHERE = TURNED + np.array([[0, 0, 5000.0], [0, 0, 0], [0, 0, 0]])
BAD = {
    "inverted": (
        _he(lambda f: write_alignment(f / ALIGNMENT, np.linalg.inv(TURNED))),
        r"of \d+ spots of slide 'X1' lie outside of image 'X1_full_image' of 420 x 300 pixels: .*imagealignment.csv is inverted",
    ),
    "inverted landmarks": (
        _he(lambda f: _swap(write_landmarks(f / ALIGNMENT))),
        "lie outside of image .*: .*imagealignment.csv is inverted. It must lead from pixels of the H&E image",
    ),
    "another slide": (
        _he(lambda f: write_alignment(f / ALIGNMENT, ELSEWHERE)),
        "S_he_image.ome.tif or .*imagealignment.csv belongs to another slide: give both of this one, image= and alignment=",
    ),
    "a quarter turn": (
        _he(lambda f: write_image(f, np.rot90(picture()).copy())),
        "lie outside of .*300 x 420 pixels: .*ome.tif may be a copy, turned by a quarter, of the image",
    ),
    "a small copy": (
        _he(lambda f: write_image(f, picture()[::2, ::2].copy())),
        "ome.tif may be a smaller copy of the image",
    ),
    "wrong shape": (
        _he(lambda f: (f / ALIGNMENT).write_text("1,0\n0,1\n")),
        "alignment.csv holds 2 rows and 2 columns",
    ),
    "no pixel size": (_he(lambda f: (f / "experiment.xenium").unlink()), "missing .*experiment.xenium"),
    "text": (_he(lambda f: (f / "S_he_image.ome.tif").write_text("no image")), "ome.tif cannot be read as an image"),
    "cut image": (
        _he(lambda f: _cut(f / "S_he_image.ome.tif", 9000)),
        "ome.tif .*(damaged|cannot be read as an image|cannot be decoded)",
    ),
    "no transcripts": (
        _he(lambda f: (f / "transcripts.parquet").unlink()),
        r"missing .*transcripts.parquet \(or transcripts.csv.gz\): .* to read its cells, give spots='cells'",
    ),
    "cut transcripts": (_he(lambda f: _cut(f / "transcripts.parquet", 9000)), "transcripts.parquet is no table"),
    "an alignment alone": (
        lambda f: (f / "S_he_image.ome.tif").unlink() or {"alignment": f / ALIGNMENT},
        "alignment='.*csv' is of an H&E image: give that too, as image=",
    ),
    "no alignment": (
        lambda f: (f / ALIGNMENT).unlink() or {"image": f / "S_he_image.ome.tif"},
        "no file S_he_imagealignment.csv beside it: give the matrix or the landmarks .* as alignment=",
    ),
    "no image": (lambda f: {"image": f / "nothing.tif", "alignment": f / ALIGNMENT}, "no image .*nothing.tif"),
    "no size": (lambda f: {"spots": 55}, r"spots=55 is no size: give \('um', 55\)"),
    "pixels": (lambda f: {"spots": ("px", 55)}, r"unit='px' is not one of \['um'\]"),
    "a negative size": (lambda f: {"spots": ("um", -55)}, "must be larger than 0"),
    "another word": (lambda f: {"spots": "nuclei"}, r"spots='nuclei' is not one of \['cells'\].*give \('um', 55\)"),
    "another lattice": (lambda f: {"lattice": "round"}, r"lattice='round' is not one of \['hex', 'square'\]"),
    "quality of cells": (lambda f: {"spots": "cells", "min_qv": 30}, "min_qv=30 is for transcripts"),
    "too good": (lambda f: {"min_qv": 50}, r"no transcript of a gene of quality 50 or more .*: lower min_qv="),
    "a bad id": (lambda f: {"slide": "X 1"}, "slide id 'X 1'"),
}


def _swap(path):
    frame = pd.read_csv(path)
    frame.set_axis([*frame.columns[2:], *frame.columns[:2]], axis=1).to_csv(path, index=False)


def _cut(path, n):
    path.write_bytes(path.read_bytes()[:-n])


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_and_nothing_is_left(folder, tmp_path, what):
    make, message = BAD[what]
    options = make(folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        sh.io.read_xenium(folder, **{"slide": "X1", "store": tmp_path / "new.zarr", **options})
    assert sorted(tmp_path.rglob("*")) == before


def test_an_image_of_another_scale_is_warned_of(folder):
    tifffile.imwrite(
        folder / "S_he_image.ome.tif",
        picture(),
        tile=(64, 64),
        photometric="rgb",
        resolution=(1e4, 1e4),
        resolutionunit=3,
    )
    with pytest.warns(UserWarning, match=r"ome.tif says 1 um per pixel, but by .*alignment.csv a pixel has 0.274 um"):
        sh.io.read_xenium(folder)


def test_slides_are_joined_and_a_store_is_not_overwritten(folder, tmp_path):
    parts = [sh.io.read_xenium(folder, slide=s, patient=p) for s, p in (("X1", "A"), ("X2", "B"))]
    both = sh.io.concat(parts)
    assert both.attrs["spatialhist"]["slides"]["X2"]["xenium"]["counted"] == parts[1]["table"].X.sum()
    both.write(tmp_path / "both.zarr")
    with pytest.raises(FileExistsError, match="both.zarr exists"):
        sh.io.read_xenium(folder, store=tmp_path / "both.zarr")


@pytest.mark.filterwarnings("ignore")
def test_simulated_slides_go_all_the_way(tmp_path):
    made = sh.datasets.synthetic(n_slides=3, n_patients=3, n_genes=8, size_px=(320, 450), signal=1.0, seed=2)
    folders = {s: write_synthetic(tmp_path / s / "outs", made, s) for s in made.shapes}
    sdata = sh.io.concat([sh.io.read_xenium(f, spots=("um", 110), patient=f"P_{s}") for s, f in folders.items()])
    assert sdata["table"].X.sum() == made["table"].X.sum()
    sh.pp.mask_background(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    cv = sh.tl.cross_validate(sdata, models="ridge", genes=4, out=tmp_path / "run", **FAST)
    sh.tl.predict(sdata, cv, encoder=FAST["encoder"], progress=False)
    sdata.write(tmp_path / "all.zarr")
    again = sh.io.read(tmp_path / "all.zarr")
    scores = sh.tl.evaluate(again)
    # chance is 0: H&E and transcripts belong together only where the image is turned the right way
    ridge = scores.query("predictor == 'ridge' and metric == 'pearson'")["value"].mean()
    assert ridge > 0.1
    np.testing.assert_array_equal(again["table"].layers["predicted"], sdata["table"].layers["predicted"])


def test_the_command_line_reads_it(folder):
    found = CliRunner().invoke(app, ["info", str(folder)])
    assert found.exit_code == 0, found.output
    assert "output_XETG" in found.output and "3" in found.output


# ----------------------------------------------------------------------------------------------------------------------
# real outputs


def _independent(folder, names=("NegControl", "BLANK", "Unassigned", "Deprecated", "antisense", "Intergenic")):
    path = next(p for p in folder.iterdir() if p.name.startswith("transcripts."))
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    return frame, ~frame["feature_name"].str.startswith(names)


@pytest.mark.real_data
@pytest.mark.parametrize("lattice", ["hex", "square"])
@pytest.mark.parametrize("name", ["xoa1/sample1", "xoa1/sample2", "xoa3/sample1", "xoa3/sample2"])
def test_real_transcripts_are_counted_as_pandas_counts_them(data_root, name, lattice):
    folder = data_root / f"formats/xenium_{name}"
    frame, is_gene = _independent(folder)
    good = frame[is_gene & (frame["qv"] >= 20)]
    with pytest.warns(UserWarning, match="no H&E image"):
        sdata = sh.io.read_xenium(folder, spots=("um", 20), lattice=lattice)
    table = sdata["table"]
    assert table.X.sum() == len(good)
    assert sorted(table.var_names) == sorted(frame.loc[is_gene, "feature_name"].unique())
    xy = good[["x_location", "y_location"]].to_numpy(dtype=float)
    # some lie exactly between two squares, the second of which takes them
    distance = np.stack([np.hypot(*(xy + 1e-6 - center).T) for center in table.obsm["spatial"]])
    spot = distance.argmin(axis=0)
    expected = pd.crosstab(spot, good["feature_name"].to_numpy())
    assert np.array_equal(table.to_df()[expected.columns], expected)
    kept = sdata.attrs["spatialhist"]["slides"][folder.name]["xenium"]
    assert sum(kept["controls"].values()) == (~is_gene).sum()


@pytest.mark.real_data
def test_real_cells_are_what_h5py_and_pandas_read(data_root):
    folder = data_root / "formats/xenium_csv"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*no H&E image")
        sdata = sh.io.read(folder)
    cells = pd.read_csv(folder / "cells.csv.gz")
    with h5py.File(folder / "cell_feature_matrix.h5") as file:
        matrix = {key: file[f"matrix/{key}"][:] for key in ("data", "indices", "indptr", "shape")}
        names = [n.decode() for n in file["matrix/features/name"][:]]
    expected = np.zeros((len(cells), len(names)))
    for cell in range(len(cells)):
        at = slice(int(matrix["indptr"][cell]), int(matrix["indptr"][cell + 1]))
        expected[cell, matrix["indices"][at].astype(int)] = matrix["data"][at]
    assert np.array_equal(sdata["table"].to_df()[names], expected)
    assert sdata["table"].obs["spot_id"].tolist() == cells["cell_id"].tolist()
    np.testing.assert_allclose(sdata["table"].obsm["spatial"], cells[["x_centroid", "y_centroid"]])
    np.testing.assert_allclose(sdata["xenium_csv"]["radius"] ** 2 * np.pi, cells["cell_area"])


@pytest.mark.real_data
def test_real_cells_of_another_run_are_refused(data_root, tmp_path):
    shutil.copytree(data_root / "formats/xenium_xoa3/sample1", tmp_path / "s")
    with (
        pytest.warns(UserWarning, match="no H&E image"),
        pytest.raises(ValueError, match="30 of 30 cells of .*matrix.h5 are not in .*cells.parquet"),
    ):
        sh.io.read_xenium(tmp_path / "s", spots="cells")


@pytest.mark.parametrize(
    ("value", "says"),
    [(np.nan, "holds nan as a count"), (-2.0, "holds -2 as a count"), (b"a", "is no cell-feature matrix")],
)
def test_what_is_no_count_of_a_cell_is_refused_by_name(tmp_path, value, says):
    folder = write_xenium(tmp_path / "X")
    with h5py.File(folder / "cell_feature_matrix.h5", "r+") as file:
        n = len(file["matrix/data"])
        del file["matrix/data"]
        file["matrix/data"] = np.array([value] * n)
    with pytest.raises(ValueError, match=f"cell_feature_matrix.h5 .*{says}"):
        sh.io.read_xenium(folder, spots="cells")
