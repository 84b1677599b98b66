from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import normalized_root_mse
from sklearn.metrics import r2_score, root_mean_squared_error

from spatialhist import metrics


def test_rmse_and_r2_equal_scikit_learn(pair):
    expected = root_mean_squared_error(*pair, multioutput="raw_values")
    np.testing.assert_allclose(metrics.rmse(*pair), expected)
    np.testing.assert_allclose(metrics.r2(*pair), r2_score(*pair, multioutput="raw_values"))


def test_nrmse_equals_scikit_image(pair):
    columns = zip(*(matrix.T for matrix in pair), strict=True)
    expected = [normalized_root_mse(t, p, normalization="min-max") for t, p in columns]
    np.testing.assert_allclose(metrics.nrmse(*pair), expected)


def test_variance_ratio_equals_numpy(pair):
    truth, predicted = pair
    np.testing.assert_allclose(metrics.variance_ratio(truth, predicted), predicted.var(axis=0) / truth.var(axis=0))


def test_by_hand():
    truth, predicted = [[0.0], [2.0], [4.0]], [[1.0], [2.0], [2.0]]
    # errors 1, 0, -2: sum of squares 5; truth deviations -2, 0, 2: 8; predicted deviations -2/3, 1/3, 1/3: 2/3
    np.testing.assert_allclose(metrics.rmse(truth, predicted), [np.sqrt(5 / 3)])
    np.testing.assert_allclose(metrics.nrmse(truth, predicted), [np.sqrt(5 / 3) / 4])
    np.testing.assert_allclose(metrics.r2(truth, predicted), [1 - 5 / 8])
    np.testing.assert_allclose(metrics.variance_ratio(truth, predicted), [1 / 12])


@pytest.mark.parametrize("score", [metrics.nrmse, metrics.r2, metrics.variance_ratio])
def test_constant_truth_is_left_out(score):
    assert np.isnan(score(np.full((5, 1), 0.1), np.arange(5.0)[:, None])).all()


def test_the_best_constant_explains_nothing(pair):
    truth, _ = pair
    mean = np.broadcast_to(truth.mean(axis=0), truth.shape)
    np.testing.assert_allclose(metrics.r2(truth, mean), 0, atol=1e-12)
    np.testing.assert_array_equal(metrics.variance_ratio(truth, mean), 0)


def test_rmse_of_float32_is_computed_in_float64():
    truth = np.full((100_000, 1), 1e4, dtype=np.float32)
    np.testing.assert_allclose(metrics.rmse(truth, truth + np.float32(0.5)), [0.5], rtol=1e-9)


def test_targets_without_prediction_are_left_out(pair):
    truth, predicted = pair
    predicted[:, 2] = np.nan
    for score in (metrics.rmse, metrics.nrmse, metrics.r2, metrics.variance_ratio):
        assert np.flatnonzero(np.isnan(score(truth, predicted))).tolist() == [2]
