from __future__ import annotations

import pytest
import spatialdata as sd
from tests.io.conftest import write_space_ranger
from visium_hd_folders import write_bins, write_cells

import spatialhist as sh
from spatialhist.io import _read
from spatialhist.io._formats.format import tell


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("visium/spatial", "visium"),
        ("st/slides.csv", "st"),
        ("both/slides.csv", "st"),
        ("slide.SVS", "image"),
        ("cells.h5ad", "anndata"),
        ("samples.tsv", "sheet"),
        ("slides.hdf5", "challenge"),
        ("a.zarr", "store"),
    ],
)
def test_formats_are_told_by_what_is_there(tmp_path, name, called):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / "both" / "spatial").mkdir(parents=True)
    assert tell(tmp_path / name.split("/")[0], _read.FORMATS).name == called


def test_a_store_is_read_and_copied(tmp_path):
    sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 260), n_genes=5)
    sdata.write(tmp_path / "a.zarr")
    copy = sh.io.read(tmp_path / "a.zarr", store=tmp_path / "b.zarr")
    assert str(copy.path) == str(tmp_path / "b.zarr")
    assert list(sd.read_zarr(tmp_path / "b.zarr")["table"].var_names) == list(sdata["table"].var_names)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing does not exist"):
        sh.io.read(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty is no slides.csv folder, Space Ranger folder"):
        sh.io.read(tmp_path / "empty")
    (tmp_path / "empty" / "slides.csv").touch()
    with pytest.raises(ValueError, match=r"mpp is for image files .* has its own scale"):
        sh.io.read(tmp_path / "empty", mpp=0.5)


def test_slides_of_space_ranger_are_called_after_the_sample(tmp_path):
    folders = [write_space_ranger(tmp_path / f"sample {s}" / "outs", header=True) for s in "AB"]
    both = sh.io.concat([sh.io.read(folder) for folder in folders])
    assert both["table"].obs["region"].cat.categories.tolist() == ["sample_A", "sample_B"]
    assert list(sh.io.read(folders[0], slide="V1", store=tmp_path / "a.zarr").shapes) == ["V1"]
    moved = folders[0].rename(tmp_path / "sample.3")
    assert list(sh.io.read(moved).shapes) == ["sample.3"]


def test_a_slide_id_is_not_for_what_names_its_own(tmp_path):
    (tmp_path / "st").mkdir()
    (tmp_path / "st" / "slides.csv").touch()
    with pytest.raises(
        ValueError, match="slide='A' is for Space Ranger and Xenium folders and image files; .*st names its own"
    ):
        sh.io.read(tmp_path / "st", slide="A")


def test_the_folder_above_outs_names_it(tmp_path):
    write_space_ranger(tmp_path / "sample" / "outs", header=True)
    with pytest.raises(ValueError, match=r"did you mean .*outs\?"):
        sh.io.read(tmp_path / "sample")


def test_bins_of_visium_hd_are_chosen_by_their_folder(tmp_path):
    outs = tmp_path / "lung" / "outs"
    write_cells(outs)
    assert sh.io.read(outs)["table"].n_obs == 3
    for bin_um, rows in ((2, 5), (8, 7), (16, 4)):
        write_bins(outs, bin_um, rows=rows, columns=3)
    sdata = sh.io.read(outs, store=tmp_path / "s.zarr")
    assert list(sdata.shapes) == ["lung"]
    assert sdata["table"].n_obs == 18
    assert sh.io.read(outs / "binned_outputs/square_002um", slide="H1")["table"].obs["region"].unique().tolist() == [
        "H1"
    ]
    with pytest.raises(ValueError, match="mpp is for image files .*outs has its own scale"):
        sh.io.read(outs, mpp=0.5)
    with pytest.raises(FileNotFoundError, match="neither binned_outputs/square_008um nor segmented_outputs"):
        (tmp_path / "feature_slice.h5").touch()
        sh.io.read(tmp_path)
