from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.io.conftest import picture, write_space_ranger
from typer.testing import CliRunner
from visium_hd_folders import write_bins

import spatialhist as sh
from spatialhist._sdata.images import levels_of
from spatialhist.cli import app
from spatialhist.io._read import FORMATS
from spatialhist.io._sheet.rows import check_rows, read_sheet


@pytest.fixture
def folder(tmp_path):
    """Two Visium folders with their full image, a Visium HD folder of a sample `lung`, and an image without spots."""
    write_space_ranger(tmp_path / "a" / "outs", header=True)
    write_space_ranger(tmp_path / "b" / "outs", header=False, genes=("B", "C"))
    write_bins(tmp_path / "lung" / "outs", 16, rows=4, columns=3)
    write_bins(tmp_path / "lung" / "outs", 8, rows=7, columns=3)
    Image.fromarray(picture()).save(tmp_path / "full.png")
    return tmp_path


def write(folder, text, name="samples.csv"):
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("stored", [False, True])
def test_slides_of_two_platforms_become_one_cohort(folder, tmp_path, stored):
    sheet = write(
        folder,
        "path,image,slide,patient,platform,bin_um,treatment\n"
        "a/outs,full.png,S1,P1,Visium,,none\n"
        "lung/outs,,,P2,visium-hd,16,drug\n"
        f"{folder / 'b' / 'outs'},,S3,,,,\n",
    )
    sdata = sh.io.read(sheet, store=tmp_path / "s.zarr" if stored else None)
    obs = sdata["table"].obs
    assert obs["region"].value_counts().to_dict() == {"S1": 11, "lung": 9, "S3": 11}
    first = obs.groupby("region", observed=True)[["patient", "treatment"]].first().astype(object)
    assert first.loc["S1"].tolist() == ["P1", "none"] and first.loc["lung"].tolist() == ["P2", "drug"]
    assert obs.loc[obs["region"] == "S3", ["patient", "treatment"]].isna().all(axis=None)
    assert "S1_full_image" in sdata.images and "S3_full_image" not in sdata.images
    assert "bin_um" not in obs and "platform" not in obs


def test_columns_that_are_not_given_are_told_by_the_folder(folder):
    rows = check_rows(sheet := write(folder, "path\nlung/outs\na/outs\nfull.png\n"), read_sheet(sheet), FORMATS)
    assert [(r.format.name, r.options["slide"]) for r in rows] == [
        ("visium_hd", "lung"),
        ("visium", "a"),
        ("image", "full"),
    ]
    assert sh.io.read(write(folder, "path\tx\nlung/outs\t1\n", "s.tsv"))["table"].n_obs == 18
    two = write(folder, "path,slide\na/outs,A\nb/outs,B\n")
    assert list(sh.io.read(two, slides=["B"]).shapes) == ["B"]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("beside", ["a/outs,,S1,\n", ""], ids=["beside spots", "alone"])
def test_whole_slides_without_spots(folder, tmp_path, stored, beside):
    Image.fromarray(picture()[::2]).save(folder / "low.png")
    sheet = write(folder, f"path,mpp,slide,patient\nfull.png,0.5,,P1\n{beside}low.png,0.25,L,P2\n")
    sdata = sh.io.read(sheet, store=tmp_path / "s.zarr" if stored else None)
    np.testing.assert_array_equal(levels_of(sdata["full_full_image"])[0], np.moveaxis(picture(), -1, 0))
    assert levels_of(sdata["L_full_image"])[0].shape == (3, 150, 423)
    info = sdata.attrs["spatialhist"]["slides"]
    assert [(info[s]["mpp"], info[s]["patient"]) for s in ("full", "L")] == [(0.5, "P1"), (0.25, "P2")]
    assert list(sdata.tables) == ["table"] * bool(beside) and list(sdata.shapes) == ["S1"] * bool(beside)
    assert not beside or sdata["table"].shape == (11, 3)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("file,slide\na/outs,A\n", ValueError, r"lacks the column 'path'; it has \['file', 'slide'\]"),
        ("path,slide\n", ValueError, "has no rows"),
        ("path,slide\na/outs,A,B,C\n", ValueError, "rows have more cells than the header"),
        ("path,a/b\na/outs,1\n", ValueError, "column 'a/b' cannot be kept in obs under this name: call it 'a_b'"),
        ("path,__x\na/outs,1\n", ValueError, "column '__x' cannot be kept in obs under this name: call it 'x'"),
        ("path,slide\na/outs,A\n,B\n", ValueError, r"samples.csv, line 3, column 'path' is empty"),
        (
            "path\n~nobody-of-this-name/x\n",
            ValueError,
            r"line 2, column 'path' holds '~nobody-of-this-name/x', which is no path",
        ),
        (f"path\n{'a' * 300}\n", ValueError, r"line 2, column 'path' holds 'aaa.*', which is no path: .*too long"),
        (
            f"path,slide\na/outs,{'b' * 201}\n",
            ValueError,
            r"line 2, column 'slide': slide id 'bbb.* has 201 letters.*up to 200",
        ),
        ("path,patient,patient\na/outs,P1,P2\n", ValueError, r"samples.csv has the column 'patient' twice"),
        ("path\na/outs\nc/outs\n", FileNotFoundError, r"line 3, column 'path': .*c/outs does not exist"),
        ("path\n\n\na/outs\n\nc/outs\n", FileNotFoundError, r"line 6, column 'path': .*c/outs does not exist"),
        ('path,note\na/outs,"x\ny"\nc/outs,\n', FileNotFoundError, r"line 3, column 'path': .*c/outs does not exist"),
        ("path,image\na/outs,no.tif\n", FileNotFoundError, r"line 2, column 'image': .*no.tif does not exist"),
        ("path,slide\na/outs,A\nb/outs,A\n", ValueError, r"line 3, column 'slide': 'A' is that of .*line 2"),
        ("path,slide\na/outs,A/1\n", ValueError, r"line 2, column 'slide': .*try 'A_1'"),
        ("path,platform\na/outs,slide-seq\n", ValueError, r"holds 'slide-seq'; it must be one of xenium, visium_hd"),
        ("path,bin_um\nlung/outs,eight\n", ValueError, r"'bin_um' holds 'eight', which is not a number or 'cells'"),
        (
            "path,bin_um\na/outs,8\n",
            ValueError,
            r"column 'bin_um': nothing to be said of 'visium'; leave the cell empty",
        ),
        ("path\nsamples.csv\n", ValueError, r"may hold several slides: read it with sh.io.read"),
        ("path\na\n", ValueError, r"line 2, column 'path': .*did you mean .*outs"),
        ("path,bin_um\nlung/outs,2\n", ValueError, r"line 2: .*holds nothing of bin_um=2: it has bin_um=8, bin_um=16"),
    ],
)
def test_a_cell_that_cannot_be_used_is_named(folder, tmp_path, text, error, says):
    with pytest.raises(error, match=says):
        sh.io.read(write(folder, text), store=tmp_path / "new.zarr")
    assert not (tmp_path / "new.zarr").exists()


def test_nothing_is_read_before_all_rows_are_checked(folder, monkeypatch):
    read = []
    monkeypatch.setattr("spatialhist.io._sheet.rows.read_row", read.append)
    monkeypatch.setattr("spatialhist.io._read.read_row", read.append)
    with pytest.raises(FileNotFoundError, match="line 3"):
        sh.io.read(write(folder, "path\na/outs\nmissing\n"))
    assert read == []
    with pytest.raises(KeyError, match=r"no slides \['Z'\] in .*samples.csv; it has \['a', 'b'\]"):
        sh.io.read(write(folder, "path\na/outs\nb/outs\n"), slides="Z")


def test_the_command_line_takes_a_sheet(folder):
    sheet = write(folder, "path,slide\na/outs,A\nlung/outs,L\n")
    result = CliRunner().invoke(app, ["info", str(sheet), "--json"])
    assert result.exit_code == 0, result.output
    assert '"A"' in result.stdout and '"L"' in result.stdout
    assert pd.read_csv(sheet).shape == (2, 2)


def test_a_sheet_of_another_encoding_says_so(folder):
    (folder / "samples.csv").write_bytes("path,note\na/outs,é\n".encode("latin-1"))
    with pytest.raises(ValueError, match="cannot be read as a sample sheet: 'utf-8' .*; save it as CSV in UTF-8"):
        sh.io.read(folder / "samples.csv")
