from __future__ import annotations

import pytest
from tests.io.conftest import write_space_ranger

import spatialhist as sh
from spatialhist.io._space_ranger.files import find_files

COUNTS = "filtered_feature_bc_matrix.h5"


@pytest.fixture
def outs(tmp_path):
    return write_space_ranger(tmp_path / "sample" / "outs", header=True)


def test_files_of_a_download_have_the_name_of_the_sample_before_theirs(outs):
    expected = sh.io.read_visium(outs)["table"].to_df()
    for name in (COUNTS, "spatial/tissue_positions.csv", "spatial/scalefactors_json.json"):
        file = outs / name
        file.rename(file.with_name(f"V1_Breast(1_{file.name}"))
    found = find_files(outs, COUNTS)
    assert found.counts.name == f"V1_Breast(1_{COUNTS}"
    assert found.hires.name == "tissue_hires_image.png"
    assert sh.io.read_visium(outs)["table"].to_df().equals(expected)


def test_a_file_of_the_plain_name_goes_before_one_of_another_sample(outs):
    (outs / f"other_{COUNTS}").write_bytes(b"another slide")
    assert find_files(outs, COUNTS).counts == outs / COUNTS


def test_several_samples_in_a_folder_are_named(outs):
    for sample in ("A1", "B1"):
        (outs / f"{sample}_{COUNTS}").write_bytes((outs / COUNTS).read_bytes())
    (outs / COUNTS).unlink()
    with pytest.raises(ValueError, match=f"outs holds 2 samples: A1_{COUNTS}, B1_{COUNTS}. Give each sample a folder"):
        find_files(outs, COUNTS)


def test_small_images_may_be_missing(outs):
    (outs / "spatial/tissue_lowres_image.png").unlink()
    assert find_files(outs, COUNTS).lowres is None
    assert set(sh.io.read_visium(outs).images) == {"S1_hires_image"}


def test_files_that_lie_elsewhere_or_are_packed_are_named(outs):
    (outs / "spatial/tissue_positions.csv").rename(outs / "GSM1_tissue_positions_list.csv.gz")
    with pytest.raises(
        FileNotFoundError, match=r"tissue_positions.csv .*there is GSM1_tissue_positions_list.csv.gz: unpack"
    ):
        find_files(outs, COUNTS)
    with pytest.raises(FileNotFoundError, match=r"did you mean .*outs\?"):
        find_files(outs.parent, COUNTS)


def test_a_matrix_of_mtx_files_is_told(tmp_path):
    folder = write_space_ranger(tmp_path / "outs", header=True)
    (folder / "filtered_feature_bc_matrix.h5").unlink()
    (folder / "filtered_feature_bc_matrix").mkdir()
    (folder / "filtered_feature_bc_matrix" / "matrix.mtx.gz").touch()
    with pytest.raises(
        FileNotFoundError, match=r"holds the matrix as MTX files: .*sh.io.from_anndata\(adata, image=\)"
    ):
        sh.io.read(folder)
