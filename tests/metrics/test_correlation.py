from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from spatialhist import metrics
from spatialhist.metrics._shared import arrays as _arrays

SHAPE = (12, 3)
whole = arrays(np.int64, SHAPE, elements=st.integers(-50, 50)).map(lambda values: values.astype(float))


@pytest.mark.parametrize(("ours", "theirs"), [(metrics.pearson, stats.pearsonr), (metrics.spearman, stats.spearmanr)])
def test_equals_scipy_target_by_target(pair, ours, theirs):
    truth, predicted = pair
    expected = [theirs(t, p).statistic for t, p in zip(truth.T, predicted.T, strict=True)]
    np.testing.assert_allclose(ours(truth, predicted), expected, rtol=1e-10)


def test_spot_spearman_equals_scipy_spot_by_spot(pair):
    truth, predicted = pair
    truth = truth + np.arange(7)
    expected = [stats.spearmanr(t, p).statistic for t, p in zip(truth, predicted, strict=True)]
    np.testing.assert_allclose(metrics.spot_spearman(truth, predicted), expected, rtol=1e-10)


def test_pearson_by_hand():
    # deviations (-1, 0, 1) and (-1, 1, 0): product 1, norms sqrt(2) each
    np.testing.assert_allclose(metrics.pearson([[1.0], [2.0], [3.0]], [[0.0], [2.0], [1.0]]), [0.5])


def test_spearman_by_hand_with_ties():
    # ranks (1.5, 1.5, 3) and (1, 2, 3): deviations (-.5, -.5, 1) and (-1, 0, 1), 1.5 / sqrt(1.5 * 2)
    result = metrics.spearman([[0.0], [0.0], [5.0]], [[1.0], [2.0], [9.0]])
    np.testing.assert_allclose(result, [1.5 / np.sqrt(3)])


def test_spot_spearman_by_hand():
    truth = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    predicted = np.array([[1.0, 3.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0], [7.0, 7.0, 7.0, 7.0]])
    # 1 - 6 * sum(d^2) / (n (n^2 - 1)) = 1 - 6 * 2 / 60
    np.testing.assert_allclose(metrics.spot_spearman(truth, predicted), [0.8, np.nan, 0.0])


@pytest.mark.parametrize("score", [metrics.pearson, metrics.spearman])
def test_constant_prediction_is_zero_and_constant_truth_is_left_out(score):
    varied, flat = np.arange(4.0), np.full(4, 0.1)
    truth = np.column_stack([varied, flat, flat, varied])
    predicted = np.column_stack([flat, varied, flat, varied])
    np.testing.assert_allclose(score(truth, predicted), [0.0, np.nan, np.nan, 1.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_noise_of_a_constant_is_no_prediction(dtype):
    rng = np.random.default_rng(0)
    noise = rng.choice([-1, 0, 1], size=(500, 1)) * np.finfo(dtype).eps
    predicted = (np.full((500, 1), 0.7) * (1 + noise)).astype(dtype)
    assert np.unique(predicted).size > 1
    assert metrics.is_constant(predicted).tolist() == [True]
    assert metrics.pearson(noise, predicted).tolist() == [0.0]


def test_a_long_constant_column_is_constant():
    # the mean of many equal values is not exactly that value
    values = np.full((50_001, 2), 0.1)
    assert metrics.is_constant(values).tolist() == [True, True]
    assert np.isnan(metrics.pearson(values, np.arange(100_002.0).reshape(-1, 2))).all()


def test_targets_without_prediction_are_left_out(pair):
    truth, predicted = pair
    expected = metrics.pearson(truth, predicted)
    predicted[:, [1, 4]] = np.nan
    expected[[1, 4]] = np.nan
    np.testing.assert_allclose(metrics.pearson(truth, predicted), expected, rtol=1e-12)
    kept = [0, 2, 3, 5, 6]
    np.testing.assert_array_equal(
        metrics.spot_spearman(truth, predicted), metrics.spot_spearman(truth[:, kept], predicted[:, kept])
    )


@pytest.mark.parametrize("score", [metrics.pearson, metrics.spearman, metrics.spot_spearman, metrics.rmse])
def test_partly_missing_spots_are_counted_in_the_error(pair, score):
    truth, predicted = pair
    predicted[[3, 8], 2] = np.nan
    predicted[8, 0] = np.inf
    with pytest.raises(ValueError, match=r"predicted has missing or infinite values in 2 of 60 spots"):
        score(truth, predicted)


def test_nothing_predicted_gives_nan(pair):
    truth, predicted = pair
    assert np.isnan(metrics.pearson(truth, np.full_like(predicted, np.nan))).all()
    assert np.isnan(metrics.spot_spearman(truth, np.full_like(predicted, np.nan))).all()


def test_shapes_are_checked(pair):
    truth, predicted = pair
    with pytest.raises(ValueError, match=r"truth \(60, 7\), predicted \(60, 6\)"):
        metrics.pearson(truth, predicted[:, :6])
    with pytest.raises(ValueError, match=r"found truth \(60,\)"):
        metrics.pearson(truth[:, 0], predicted[:, 0])
    with pytest.raises(ValueError, match="no spots"):
        metrics.pearson(truth[:0], predicted[:0])


@pytest.mark.parametrize("score", [metrics.pearson, metrics.spearman, metrics.spot_spearman])
def test_blocks_do_not_change_the_result(pair, score, monkeypatch):
    truth, predicted = pair
    predicted[:, 3] = np.nan
    expected = score(truth, predicted)
    monkeypatch.setattr(_arrays, "BLOCK_VALUES", 100)
    np.testing.assert_allclose(score(truth, predicted), expected, rtol=1e-12)


@pytest.mark.parametrize("score", [metrics.pearson, metrics.spearman])
@given(truth=whole, predicted=whole, scale=st.integers(1, 20), shift=st.integers(-100, 100))
def test_shift_and_scale_change_nothing(score, truth, predicted, scale, shift):
    expected = score(truth, predicted)
    np.testing.assert_allclose(score(truth, scale * predicted + shift), expected, atol=1e-12)
    np.testing.assert_allclose(score(scale * truth + shift, predicted), expected, atol=1e-12)
    np.testing.assert_allclose(score(truth, -predicted), -expected, atol=1e-12)


@pytest.mark.parametrize("score", [metrics.pearson, metrics.spearman])
@given(truth=whole, predicted=whole, order=st.permutations(range(SHAPE[0])))
def test_order_of_spots_changes_nothing(score, truth, predicted, order):
    expected = score(truth, predicted)
    np.testing.assert_allclose(score(truth[order], predicted[order]), expected, atol=1e-12)


@pytest.mark.parametrize("score", [metrics.pearson, metrics.spearman])
@given(a=whole, b=whole)
def test_symmetric_where_both_vary(score, a, b):
    vary = ~(metrics.is_constant(a) | metrics.is_constant(b))
    np.testing.assert_allclose(score(a, b)[vary], score(b, a)[vary], atol=1e-12)


@given(truth=whole, predicted=whole)
def test_spot_spearman_sees_only_the_order_of_targets(truth, predicted):
    expected = metrics.spot_spearman(truth, predicted)
    np.testing.assert_array_equal(metrics.spot_spearman(truth, np.exp(predicted / 10)), expected)


def test_pooled_pearson_is_scipy_over_all_slides(pair):
    truth, predicted = pair
    expected = [stats.pearsonr(t, p).statistic for t, p in zip(truth.T, predicted.T, strict=True)]
    np.testing.assert_allclose(metrics.pooled_pearson(truth, predicted), expected, rtol=1e-10)
