from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spatialhist._sdata.values import as_flags, as_ids, as_matrix, as_numbers, as_words, settled_flags

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


FLAGS = {
    "bool": pd.Series([True, False, True]),
    "whole": pd.Series([1, 0, 1], dtype=np.uint8),
    "words": pd.Series(["True", "FALSE", "yes"]),
    "digits": pd.Series(["1", "0", "1"], dtype="category"),
    "bytes": pd.Series([b"1", b"0", b"1"]),
    "category": pd.Series(pd.Categorical([True, False, True])),
    "string": pd.Series(["t", "f", "t"], dtype="string"),
}


@pytest.mark.parametrize("kind", FLAGS)
def test_flags_of_any_type(kind):
    assert as_flags(FLAGS[kind], "obs['in_tissue']").tolist() == [True, False, True]


@pytest.mark.parametrize("kind", [k for k in FLAGS if k not in ("bool", "whole")])
def test_gaps_among_flags_stay_gaps(kind):
    holed = FLAGS[kind].where([True, True, False])
    assert as_flags(holed, "obs['in_tissue']").isna().tolist() == [False, False, True]


@pytest.mark.parametrize("gap", ["nan", "", "None"])
def test_gaps_that_were_written_as_text(gap):
    assert as_flags(pd.Series(["1", gap]), "obs['in_tissue']").isna().tolist() == [False, True]


def test_what_is_no_flag_is_refused_by_name():
    with pytest.raises(ValueError, match=r"obs\['in_tissue'\] must hold flags, .*\['inside', 'outside'\]"):
        as_flags(pd.Series(["inside", "outside"]), "obs['in_tissue']")


@pytest.mark.parametrize("gaps_are", [True, False])
@pytest.mark.parametrize("kind", [k for k in FLAGS if k not in ("bool", "whole")])
def test_advice_on_gaps_helps_when_followed(kind, gaps_are):
    obs = pd.DataFrame({"measured": FLAGS[kind].where([True, True, False])})
    with pytest.raises(ValueError, match="missing for 1 of 3 entries") as error:
        settled_flags(obs["measured"], "obs['measured']", gaps_are=gaps_are)
    exec(str(error.value).partition(" by ")[2])
    assert settled_flags(obs["measured"], "obs['measured']").tolist() == [True, False, gaps_are]


def test_gaps_of_rows_that_are_not_asked_for_do_not_count():
    flags = pd.Series([True, None, False], dtype="boolean")
    assert settled_flags(flags, "obs['measured']", np.array([2, 0])).tolist() == [False, True]


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
