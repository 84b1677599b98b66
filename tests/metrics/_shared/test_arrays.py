from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spatialhist import metrics
from spatialhist.metrics._shared import arrays as _arrays

PAIRED = [
    metrics.pearson,
    metrics.spearman,
    metrics.pooled_pearson,
    metrics.rmse,
    metrics.nrmse,
    metrics.r2,
    metrics.variance_ratio,
    metrics.mutual_information,
    metrics.jensen_shannon,
    metrics.auc_detected,
]


@pytest.mark.parametrize("missing", ["truth", "predicted"])
@pytest.mark.parametrize("score", PAIRED)
def test_a_target_without_values_is_nan_and_touches_no_other(pair, score, missing):
    matrices = dict(zip(["truth", "predicted"], pair, strict=True))
    expected = score(**matrices)
    matrices[missing][:, 2] = np.nan
    expected[2] = np.nan
    np.testing.assert_allclose(score(**matrices), expected, rtol=1e-12)


def test_function_sees_only_columns_with_values():
    values = np.arange(12.0).reshape(3, 4)
    values[:, 1] = np.nan
    result = _arrays.map_columns(lambda block: np.full(block.shape[1], block.shape[1]), values=values)
    np.testing.assert_array_equal(result, [3, np.nan, 3, 3])


@pytest.mark.parametrize("score", PAIRED)
def test_size_of_blocks_changes_nothing(pair, score, monkeypatch):
    expected = score(*pair)
    monkeypatch.setattr(_arrays, "BLOCK_VALUES", 130)
    np.testing.assert_allclose(score(*pair), expected, rtol=1e-12)


def test_whole_numbers_and_lists_are_accepted():
    np.testing.assert_allclose(metrics.pearson([[1], [2], [3]], np.array([[2], [4], [6]])), [1])


KINDS = {
    "sparse": sparse.csc_array,
    "masked": lambda v: np.ma.masked_invalid(v),
    "frame": pd.DataFrame,
    "nullable": lambda v: pd.DataFrame(v).astype("Float64"),
    "objects": lambda v: pd.DataFrame(v).astype(object),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", PAIRED)
def test_matrices_of_any_kind_score_the_same(pair, score, kind):
    np.testing.assert_allclose(score(*(KINDS[kind](m) for m in pair)), score(*pair), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, bool, np.float16])
@pytest.mark.parametrize("score", [metrics.rmse, metrics.pearson, metrics.r2])
def test_small_types_do_not_overflow(score, dtype):
    rng = np.random.default_rng(0)
    truth, predicted = (rng.integers(0, 250, (40, 3)).astype(dtype) for _ in range(2))
    expected = score(truth.astype(np.float64), predicted.astype(np.float64))
    np.testing.assert_allclose(score(truth, predicted), expected, rtol=1e-12)


def test_words_are_refused_by_name():
    with pytest.raises(ValueError, match="predicted holds object, not numbers"):
        metrics.pearson(np.ones((2, 1)), pd.DataFrame([["a"], ["b"]]))


def test_an_infinite_target_is_an_error_not_left_out():
    with pytest.raises(ValueError, match="truth has missing or infinite values in 3 of 3 spots"):
        metrics.rmse(np.full((3, 1), np.inf), np.ones((3, 1)))
