"""Files are found whichever version wrote them."""

import pytest
from small_xenium import PIXEL_SIZE, write_alignment, write_experiment, write_image

from spatialhist.io._xenium_files.files import (
    find_alignment,
    find_files,
    find_he_image,
    is_xenium,
    only_cells,
    pixel_size,
)


@pytest.mark.parametrize(
    "mark", ["experiment.xenium", "transcripts.parquet", "transcripts.csv.gz", "cell_feature_matrix.h5"]
)
def test_an_output_is_told_by_any_of_its_files(tmp_path, mark):
    assert not is_xenium(tmp_path)
    (tmp_path / mark).touch()
    assert is_xenium(tmp_path)
    assert only_cells(tmp_path) == (mark == "cell_feature_matrix.h5")


def test_parquet_is_read_before_csv(tmp_path):
    for name in ("transcripts.csv", "transcripts.csv.gz", "transcripts.parquet", "cells.csv.gz"):
        (tmp_path / name).touch()
    files = find_files(tmp_path)
    assert (files.transcripts.name, files.cells.name) == ("transcripts.parquet", "cells.csv.gz")
    assert files.matrix is None and files.experiment is None


def test_names_of_downloads_are_read(tmp_path):
    for name in (
        "GSM7780153_X1_transcripts.parquet",
        "GSM7780153_X1_cells.csv.gz",
        "GSM7780153_X1_cell_feature_matrix.h5",
    ):
        (tmp_path / name).touch()
    files = find_files(tmp_path)
    assert is_xenium(tmp_path) and not only_cells(tmp_path)
    assert (files.transcripts.name, files.cells.name) == (
        "GSM7780153_X1_transcripts.parquet",
        "GSM7780153_X1_cells.csv.gz",
    )
    (tmp_path / "GSM7780154_X2_transcripts.parquet").touch()
    with pytest.raises(ValueError, match="holds 2 samples: GSM7780153_X1_transcripts.parquet, GSM7780154"):
        find_files(tmp_path)


def test_the_folder_below_is_proposed(tmp_path):
    (tmp_path / "region_1").mkdir()
    write_experiment(tmp_path / "region_1")
    with pytest.raises(FileNotFoundError, match=r"is no Xenium output: .*; did you mean .*region_1\?"):
        find_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing is no Xenium output"):
        find_files(tmp_path / "nothing")


def test_the_pixel_size_is_read_or_asked_for(tmp_path):
    (tmp_path / "transcripts.parquet").touch()
    with pytest.raises(FileNotFoundError, match=r"missing .*experiment.xenium, which says the pixel size"):
        pixel_size(find_files(tmp_path))
    write_experiment(tmp_path)
    assert pixel_size(find_files(tmp_path)) == PIXEL_SIZE


@pytest.mark.parametrize(
    "text", ['{"pixel_size": 0}', '{"pixel_size": "a"}', '{"pixel_size": NaN}', "{}", "[]", "{", "\x00"]
)
def test_a_pixel_size_that_cannot_be_is_refused(tmp_path, text):
    (tmp_path / "experiment.xenium").write_text(text)
    with pytest.raises(ValueError, match=r"experiment.xenium (says pixel_size|is damaged)"):
        pixel_size(find_files(tmp_path))


def test_the_image_of_the_folder_is_the_one_with_an_alignment(tmp_path):
    image = write_image(tmp_path)
    assert find_he_image(tmp_path) is None
    alignment = write_alignment(tmp_path / "S_he_imagealignment.csv")
    assert find_he_image(tmp_path) == (image, alignment)
    assert find_alignment(tmp_path / "S_he_image.tif") == alignment
    write_image(tmp_path, name="T_he_image.ome.tif")
    assert find_he_image(tmp_path) == (image, alignment)
    write_alignment(tmp_path / "T_he_image_alignment.csv")
    with pytest.raises(
        ValueError, match=r"holds 2 H&E images, S_he_image.ome.tif, T_he_image.ome.tif: choose one with image="
    ):
        find_he_image(tmp_path)
