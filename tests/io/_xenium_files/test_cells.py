"""Cells are joined with their counts by id, whatever wrote them."""

import h5py
import numpy as np
import pytest
from small_xenium import write_cells, write_experiment, write_matrix

from spatialhist.io._xenium_files.cells import read_cells
from spatialhist.io._xenium_files.files import find_files

COUNTS = [[2, 1], [0, 7], [0, 0], [4, 1]]


def _read(folder):
    write_experiment(folder)
    return read_cells(find_files(folder))


@pytest.mark.parametrize("kind", ["cells.parquet", "cells.csv", "cells.csv.gz"])
@pytest.mark.parametrize("ids", [None, [7, 11, 2, 90]])
def test_counts_and_places_belong_to_the_same_cell(tmp_path, kind, ids):
    frame = write_cells(tmp_path, ids=ids, kind=kind)
    cells = _read(tmp_path)
    order = cells.ids.tolist()
    assert order == frame["cell_id"].tolist()[::-1]
    found = cells.matrix.toarray()[::-1]
    assert np.array_equal(found, COUNTS)
    np.testing.assert_allclose(cells.centers_um[::-1], frame[["x_centroid", "y_centroid"]])
    np.testing.assert_allclose(cells.diameter_um[::-1], 2 * np.sqrt(frame["cell_area"] / np.pi))
    assert cells.genes == ["ERBB2", "FASN"] and cells.gene_ids == ["ENSG1", "ENSG2"]
    assert list(cells.obs) == ["transcript_counts", "cell_area", "segmentation_method"]
    assert cells.tally.counted == 15 and cells.tally.controls == {"negative_control_probe": 4}
    assert "left out 4 of no gene" in str(cells.tally)


def test_a_matrix_written_by_r_and_ids_as_bytes_are_read(tmp_path):
    frame = write_cells(tmp_path)
    frame.assign(cell_id=frame["cell_id"].str.encode("utf-8")).to_parquet(tmp_path / "cells.parquet")
    with h5py.File(tmp_path / "cell_feature_matrix.h5", "r+") as file:
        for name in ("indptr", "indices", "data", "shape"):
            values = file[f"matrix/{name}"][:].astype(float)
            del file[f"matrix/{name}"]
            file[f"matrix/{name}"] = values
    cells = _read(tmp_path)
    assert np.array_equal(cells.matrix.toarray()[::-1], COUNTS)
    assert cells.ids.tolist() == frame["cell_id"].tolist()[::-1]


def test_a_cell_without_an_area_is_as_large_as_most(tmp_path):
    frame = write_cells(tmp_path)
    frame.assign(cell_area=[np.nan, 64.0, 81.0, 0.0]).to_parquet(tmp_path / "cells.parquet")
    typical = 2 * np.sqrt(72.5 / np.pi)
    np.testing.assert_allclose(_read(tmp_path).diameter_um[[0, 3]], typical)


def _other_ids(folder):
    write_matrix(folder / "cell_feature_matrix.h5", ["CELL_0", "CELL_1"], np.array([[1, 2, 0], [3, 1, 1]]))


def _frame(change):
    return lambda folder: change(write_cells(folder)).to_parquet(folder / "cells.parquet")


def _damage(name, n):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:n])


def _position(folder):
    with h5py.File(folder / "cell_feature_matrix.h5", "r+") as file:
        file["matrix/indices"][0] = 9


BAD = {
    "other ids": (
        _other_ids,
        "2 of 2 cells of .*h5 are not in .*cells.parquet .'CELL_0'; there they look like 'aaaabbbb-1'",
    ),
    "no matrix": (
        lambda f: (f / "cell_feature_matrix.h5").unlink(),
        "needs cell_feature_matrix.h5 in .*spots=.'um', 55",
    ),
    "no cells": (lambda f: (f / "cells.parquet").unlink(), "needs cells.parquet in"),
    "no centroid": (_frame(lambda f: f.drop(columns="y_centroid")), r"lacks columns \['y_centroid'\]"),
    "no area": (_frame(lambda f: f.drop(columns="cell_area")), "cells.parquet lacks column 'cell_area'"),
    "gaps": (_frame(lambda f: f.assign(x_centroid=np.nan)), "4 of 4 cells of .*cells.parquet have no centroid"),
    "twice": (_frame(lambda f: f.assign(cell_id="aaaabbbb-1")), "names cells twice, e.g. 'aaaabbbb-1'"),
    "cut table": (_damage("cells.parquet", 900), "cells.parquet is no table of cells, or it is damaged"),
    "cut matrix": (_damage("cell_feature_matrix.h5", 2000), "is no cell-feature matrix of Xenium, or it is damaged"),
    "position": (_position, "cell_feature_matrix.h5 is a broken sparse matrix: it holds a value at position 9 of 3"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_named(tmp_path, what):
    write_cells(tmp_path)
    change, message = BAD[what]
    change(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        _read(tmp_path)
