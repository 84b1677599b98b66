from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spatialhist._sdata.values import as_ids, as_matrix, as_numbers, as_words, check_positions, finite_rows

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


def broken(kind: str, form: str = "csr", dtype: type = np.int32) -> sparse.spmatrix:
    """A matrix of 3 x 4, or its columns in the place of rows, one position of which lies outside."""
    matrix = (
        sparse.csr_matrix(VALUES.astype(np.float32)) if form == "csr" else sparse.csc_matrix(VALUES.astype(np.float32))
    )
    matrix.indices, matrix.indptr = matrix.indices.astype(dtype), matrix.indptr.astype(dtype)
    width = VALUES.shape[form == "csr"]
    if kind in ("off by one", "far", "negative"):
        matrix.indices[-1] = {"off by one": width, "far": 10**6, "negative": -1}[kind]
    else:
        matrix.indptr[:] = {"falls": [0, 5, 2, 5, 5], "late": [1, 2, 3, 5, 5], "long": [0, 2, 3, 9, 9]}[kind][
            : len(matrix.indptr)
        ]
    return matrix


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("kind", ["off by one", "far", "negative", "falls", "late", "long"])
def test_positions_outside_of_a_matrix_are_refused(kind, form, dtype):
    with pytest.raises(ValueError, match=r"layers\['a'\] is a broken sparse matrix"):
        check_positions(broken(kind, form, dtype), "layers['a']")


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix, np.asarray, pd.DataFrame])
def test_positions_inside_are_let_through(kind):
    for values in (VALUES, VALUES[:0], VALUES[:, :0], np.zeros((3, 4))):
        check_positions(kind(values), "X")
    gaps = sparse.csr_matrix(VALUES.astype(np.float32))
    gaps.data, gaps.indices = np.append(gaps.data, 1), np.append(gaps.indices, 3)
    check_positions(gaps, "X")


def test_what_is_read_lazily_is_looked_at_when_it_is_read():
    with pytest.raises(ValueError, match="X is a broken sparse matrix: it holds a value at position -1 of 4"):
        as_matrix(da.from_array(broken("negative"), asarray=False), "X")


@pytest.mark.parametrize("kind", [sparse.csr_matrix, np.asarray])
def test_rows_with_a_gap_or_an_infinite_value_are_told(kind):
    values = GAP.copy()
    values[0, 3] = -np.inf
    assert finite_rows(kind(values)).tolist() == [False, True, False]
