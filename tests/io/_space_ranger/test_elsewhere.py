from __future__ import annotations

import pytest

import spatialhist as sh

FILES = {
    "outs/spatial": r"; did you mean .*outs\?",
    "matrix.mtx.gz": r"MTX files.* scanpy.read_10x_mtx\(folder\).*sh.io.from_anndata\(adata, image=\)",
    "GSM42_A1_tissue_positions_list.csv.gz": r"samples in front \(GSM42_A1\), as GEO has them: unpack",
    "GSM42_A1_filtered_feature_bc_matrix.h5": r"samples in front \(GSM42_A1\)",
    "adata/x.h5ad": r"HEST-bench.* sh.io.read_hest\(folder, ids=\)",
    "A1/spatial/x.csv": r"1 folders of samples \(A1\): read each by its own path",
}


@pytest.mark.parametrize("file", FILES)
def test_folders_are_told_by_what_they_hold(tmp_path, file):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    if "adata" in file:
        (tmp_path / "patches").mkdir()
    with pytest.raises(ValueError, match=f"is no slides.csv folder, .* or image.*{FILES[file]}"):
        sh.io.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "says"),
    [("a.zip", "packed"), ("a.rds", "of R.*h5ad"), ("a.loom", "from_arrays"), ("a.parquet", "from_arrays")],
)
def test_files_are_told_by_their_ends(tmp_path, name, says):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"{name} is no slides.csv folder.*: .*{says}"):
        sh.io.read(tmp_path / name)


def test_nothing_is_said_of_what_is_not_known(tmp_path):
    with pytest.raises(ValueError, match=r"\.zarr store or image$"):
        sh.io.read(tmp_path)
