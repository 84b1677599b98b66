from __future__ import annotations

import h5py
import numpy as np
import pytest

import spatialhist as sh

KINDS = {
    "a.mrxs": ("a.mrxs", "format other than TIFF: convert it to OME-TIFF"),
}


@pytest.mark.parametrize("file", KINDS)
def test_kinds_are_told_by_name_with_a_way_to_read_them(tmp_path, file):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    path, message = KINDS[file]
    with pytest.raises(ValueError, match=f"{path} .*{message}"):
        sh.io.read(tmp_path / path)
    if (tmp_path / path).is_dir():
        with pytest.raises(ValueError, match=message):
            sh.io.read_visium(tmp_path / path)


@pytest.mark.parametrize(
    "mark",
    [
        "hd/binned_outputs",
        "hd/feature_slice.h5",
        "hd/spatial/tissue_positions.parquet",
        "hd/cell_segmentations.geojson",
    ],
)
def test_the_reader_of_visium_names_that_of_visium_hd(tmp_path, mark):
    (tmp_path / mark).parent.mkdir(parents=True)
    (tmp_path / mark).mkdir() if mark.endswith("outputs") else (tmp_path / mark).touch()
    name = mark.removeprefix("hd/")
    with pytest.raises(
        ValueError, match=rf"output of Visium HD: read it with sh.io.read_visium_hd\(path\) \(it has {name}\)"
    ):
        sh.io.read_visium(tmp_path / "hd")


def test_a_matrix_alone_is_told_from_the_file_of_the_challenge(tmp_path):
    with h5py.File(tmp_path / "filtered_feature_bc_matrix.h5", "w") as file:
        file["matrix/barcodes"] = np.array([b"AA-1"])
    with pytest.raises(ValueError, match="matrix without positions: give the folder that also has spatial/"):
        sh.io.read(tmp_path / "filtered_feature_bc_matrix.h5")
    (tmp_path / "b.h5").write_text("text")
    with pytest.raises(ValueError, match="b.h5 is not an HDF5 file"):
        sh.io.read(tmp_path / "b.h5")
