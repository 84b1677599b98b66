from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm, rankdata

from spatialhist.pp._expression.ranks import rank_into, rank_rows

METHODS = ["average", "min", "dense", "ordinal"]
VALUES = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, 2.5, -3.0, 1e30, 1e-40, np.inf, -np.inf, np.nan])

WHOLE = st.sampled_from([0, 1, 2, -1, -3, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53, 2**53 + 1, -(2**63)])


def by_scipy(matrix: np.ndarray, method: str) -> np.ndarray:
    """Rank the values of each row that are not NaN."""
    ranks = np.full(matrix.shape, np.nan)
    for row, out in zip(matrix, ranks, strict=True):
        known = ~np.isnan(row)
        out[known] = rankdata(row[known], method=method)
    return ranks


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=VALUES),
    st.sampled_from(METHODS),
    st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=150)
def test_equals_scipy_on_ties_zeros_nan_and_one_column(matrix, method, dtype):
    matrix = matrix.astype(dtype)
    expected = by_scipy(matrix, method)
    np.testing.assert_array_equal(rank_rows(matrix, method=method), expected)
    np.testing.assert_array_equal(rank_rows(sp.csr_matrix(matrix), method=method), expected)


@given(
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=WHOLE),
    st.sampled_from(METHODS),
    st.sampled_from([bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64]),
)
@settings(deadline=None, max_examples=150)
def test_equals_scipy_on_whole_numbers_of_every_width(matrix, method, dtype):
    matrix = matrix.astype(dtype)
    expected = rankdata(matrix, method=method, axis=1)
    np.testing.assert_array_equal(rank_rows(matrix, method=method), expected)
    np.testing.assert_array_equal(rank_rows(sp.csr_matrix(matrix), method=method), expected)


@pytest.mark.parametrize("method", METHODS)
def test_whole_numbers_beyond_64_bits_with_a_sign_are_ranked(method):
    matrix = np.array([[2**64 - 1, 0, 2**63, 7, 2**63]], dtype=np.uint64)
    np.testing.assert_array_equal(rank_rows(matrix, method=method), rankdata(matrix, method=method, axis=1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_equals_scipy_on_long_rows_over_several_blocks(method, dtype):
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 1000, (2100, 60)).astype(dtype)
    np.testing.assert_array_equal(rank_rows(matrix, method=method), by_scipy(matrix.astype(float), method))


@pytest.mark.parametrize("kind", [sp.csc_matrix, sp.coo_matrix, sp.csr_array])
def test_every_sparse_format_ranks_alike(kind):
    matrix = np.array([[3.0, 0, 0, -1], [0, 5, 5, 0]])
    np.testing.assert_array_equal(rank_rows(kind(matrix)), [[4, 2.5, 2.5, 1], [1.5, 3.5, 3.5, 1.5]])


def test_unsorted_sparse_input_with_stored_zeros_is_ranked_and_not_changed():
    matrix = sp.csr_matrix((np.array([2.0, 0.0, 2.0]), np.array([3, 1, 0]), np.array([0, 3])), shape=(1, 4))
    np.testing.assert_array_equal(rank_rows(matrix, method="ordinal"), [[3, 1, 2, 4]])
    np.testing.assert_array_equal(matrix.indices, [3, 1, 0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("genes", [300, 1500])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scipy_on_values_that_differ_in_their_last_bits(method, genes, dtype):
    rng = np.random.default_rng(0)
    last = rng.integers(0, 400, (3, genes)) * np.finfo(dtype).eps
    matrix = (rng.choice([-1.0, 0.0, 1.0, 7.0], (3, genes)) * (1 + last)).astype(dtype)
    expected = by_scipy(matrix, method)
    np.testing.assert_array_equal(rank_rows(matrix, method=method), expected)
    np.testing.assert_array_equal(rank_rows(sp.csr_matrix(matrix), method=method), expected)


def test_ordinal_raw_is_the_double_argsort():
    matrix = np.random.default_rng(3).permuted(np.tile(np.arange(35.0), (4, 1)), axis=1)
    np.testing.assert_array_equal(rank_rows(matrix, method="ordinal"), np.argsort(np.argsort(matrix)) + 1)


def test_unit_scale_is_strictly_inside_and_counts_what_is_known():
    ranks = rank_rows(np.array([[10.0, 30.0, np.nan, 20.0, 40.0]]), scale="unit")
    np.testing.assert_allclose(ranks, [[0.125, 0.625, np.nan, 0.375, 0.875]])


def test_dense_ranks_are_scaled_by_the_number_of_distinct_values():
    np.testing.assert_allclose(rank_rows(np.array([[5.0, 5, 9]]), method="dense", scale="unit"), [[0.25, 0.25, 0.75]])


def test_normal_scale_is_the_quantile_of_the_unit_scale():
    matrix = np.random.default_rng(0).normal(size=(3, 11))
    expected = norm.ppf(rank_rows(matrix, scale="unit"))
    np.testing.assert_allclose(rank_rows(matrix, scale="normal"), expected, atol=1e-6)


def test_rows_without_any_value_stay_nan():
    for method in METHODS:
        assert np.isnan(rank_rows(np.full((1, 3), np.nan), method=method, scale="normal")).all()
    assert rank_rows(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("wrong", [{"method": "max"}, {"scale": "log"}])
def test_unknown_choices_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong.values()))}.*is not one of"):
        rank_rows(np.ones((1, 2)), **wrong)


@pytest.mark.parametrize("method", METHODS)
def test_whole_numbers_that_float32_cannot_tell_apart_are_not_tied(method):
    rows = np.array([[2**24 + 1, 2**24, 2**24 + 1, 3], [-(2**24) - 1, -(2**24), 0, 5]])
    np.testing.assert_array_equal(rank_rows(rows, method=method), rankdata(rows, method=method, axis=1))


def on_scale(ranks, scale, method):
    size = np.nanmax(ranks, axis=1, keepdims=True) if method == "dense" else (~np.isnan(ranks)).sum(1, keepdims=True)
    unit = (ranks - 0.5) / size
    return {"raw": ranks, "unit": unit, "normal": norm.ppf(unit)}[scale]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", ["raw", "unit", "normal"])
@pytest.mark.parametrize("kind", [np.array, sp.csr_matrix])
def test_some_rows_are_ranked_in_place_without_absent_columns(method, scale, kind):
    rng = np.random.default_rng(4)
    matrix = rng.poisson(1, (9, 13)).astype(np.float64) - 1
    matrix[5, 7] = np.nan
    absent = np.isin(np.arange(13), [0, 4, 12])
    for rows in ([2, 3, 4, 5], [0, 5, 8], []):
        found = np.full((9, 13), 77, dtype=np.float32)
        rank_into(found, kind(matrix), np.array(rows, dtype=int), method=method, scale=scale, absent=absent)
        expected = np.full((9, 13), 77.0)
        expected[rows] = np.nan
        if rows:
            ranks = by_scipy(matrix[rows][:, ~absent], method)
            expected[np.ix_(rows, np.flatnonzero(~absent))] = on_scale(ranks, scale, method)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_entries_of_one_place_are_summed_in_whatever_order_they_stand():
    matrix = sp.csr_matrix((np.array([2.0, 9, 1, 5]), np.array([2, 0, 2, 3]), np.array([0, 4])), shape=(1, 4))
    np.testing.assert_array_equal(rank_rows(matrix), [[4, 1, 2, 3]])
