from __future__ import annotations

import h5py
import numpy as np
import pytest
from visium_hd_folders import GENES, write_matrix

from spatialhist.io._space_ranger import counts
from spatialhist.io._space_ranger.counts import read_counts

VALUES = np.array([[0, 2, 0, 1], [5, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]])


@pytest.fixture
def path(tmp_path):
    write_matrix(tmp_path / "m.h5", ["a", "b", "c", "d"], VALUES, GENES)
    return tmp_path / "m.h5"


@pytest.mark.parametrize("part", [1, 3, 100])
def test_values_are_read_part_by_part(path, monkeypatch, part):
    monkeypatch.setattr(counts, "PART", part)
    found = read_counts(path)
    np.testing.assert_array_equal(found.matrix.toarray(), VALUES)
    assert (found.matrix.dtype, found.matrix.indices.dtype, found.matrix.indptr.dtype) == (
        np.float32,
        np.int32,
        np.int32,
    )
    assert found.barcodes.tolist() == ["a", "b", "c", "d"]
    assert found.genes["id"].tolist() == ["ENSG0", "ENSG1", "ENSG2", "ENSG3"]


def replace(path, name, values):
    with h5py.File(path, "r+") as file:
        del file[f"matrix/{name}"]
        file[f"matrix/{name}"] = np.array(values)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("barcodes", [b"a", b"b", b"b", b"d"], "m.h5 holds barcodes twice, e.g. 'b'"),
        ("barcodes", [b"a", b"b"], "4 x 4 values for 2 barcodes and 4 features"),
        ("features/id", [b"x"], "unlike numbers of names, ids and types"),
        ("indptr", [0, 2, 3, 1, 7], "its indptr does not rise from 0 to 7 in 4 steps"),
        ("data", [1, 2], "2 values at 7 positions"),
        ("indices", [1, 3, 0, 0, -1, 2, 3], "a value at position -1 of 4"),
    ],
)
def test_what_is_broken_is_named(path, name, values, message):
    replace(path, name, values)
    with pytest.raises(ValueError, match=message):
        read_counts(path)


def test_a_file_that_promises_more_than_it_can_hold_is_refused(path):
    with h5py.File(path, "r+") as file:
        for name in ("data", "indices"):
            del file[f"matrix/{name}"]
            file.create_dataset(f"matrix/{name}", shape=(10**12,), dtype="i4", chunks=(10**6,))
        file["matrix/indptr"][-1] = 10**12
    with pytest.raises(ValueError, match="m.h5 is a broken sparse matrix: 1000000000000 values"):
        read_counts(path)
