from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spatialhist._sdata.values import as_ids, as_matrix, as_numbers, as_words

VALUES = np.array([[0, 3, 0, 250], [1, 0, 0, 0], [0, 0, 7, 2]])
GAP = np.where(VALUES == 7, np.nan, VALUES)


@pytest.mark.parametrize(
    "kind",
    [
        sparse.csc_matrix,
        sparse.csc_array,
        sparse.csr_array,
        sparse.coo_matrix,
        lambda v: da.from_array(sparse.csc_matrix(v)),
    ],
)
def test_any_sparse_matrix_becomes_rows(kind):
    found = as_matrix(kind(VALUES.astype(np.float32)), "X")
    assert isinstance(found, sparse.csr_matrix)
    np.testing.assert_array_equal(found.toarray(), VALUES)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, np.float16, ">f4", ">i8", np.longdouble, object])
def test_any_number_becomes_one_that_sums_and_loops_know(dtype):
    found = as_matrix(VALUES.astype(dtype), "X")
    assert found.dtype.isnative and found.dtype.kind in "iuf" and found.dtype.itemsize <= 8
    assert found.dtype != np.float16
    np.testing.assert_array_equal(found, VALUES)


def test_flags_are_numbers_too():
    np.testing.assert_array_equal(as_matrix(VALUES > 0, "X").sum(axis=1), [2, 1, 2])


@pytest.mark.parametrize(
    "matrix",
    [np.ma.masked_equal(VALUES, 7), da.from_array(GAP), pd.DataFrame(VALUES).astype("Int64").where(VALUES != 7)],
)
def test_gaps_of_any_kind_are_nan(matrix):
    np.testing.assert_array_equal(as_matrix(matrix, "X"), GAP)


def test_rows_of_plain_numbers_are_not_copied():
    matrix = sparse.csr_matrix(VALUES)
    assert as_matrix(matrix, "X") is matrix
    assert as_matrix(VALUES, "X") is VALUES


@pytest.mark.parametrize("matrix", [VALUES.astype(str), VALUES.astype(complex), np.array([["a", 1]], dtype=object)])
def test_what_holds_no_numbers_is_refused_by_name(matrix):
    with pytest.raises(ValueError, match=r"layers\['mine'\] holds .*not numbers"):
        as_matrix(matrix, "layers['mine']")


def test_words():
    column = pd.Series([b"P1", "P2", None, 3.0, np.nan, "nan"], dtype=object)
    assert as_words(column).tolist() == ["P1", "P2", None, "3", None, None]


@pytest.mark.parametrize(
    "column", [pd.Series([1, 2.5, None], dtype="Float64"), pd.Series(["1", "2.5", "far"]), pd.Series([1, 2.5, np.nan])]
)
def test_numbers(column):
    np.testing.assert_array_equal(as_numbers(column), [1, 2.5, np.nan])


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pd.Series([7, 8], dtype="Int64"), [7, 8]),
        (pd.Series([7, 8], dtype=object), [7, 8]),
        (pd.Series([7.0, 8.0]), ["7", "8"]),
        (pd.Series([b"a", b"b"]), ["a", "b"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Index(["a", "b"], dtype="string"), ["a", "b"]),
    ],
)
def test_ids(ids, expected):
    assert as_ids(ids).tolist() == expected
