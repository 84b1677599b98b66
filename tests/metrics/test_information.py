from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import mutual_info_score

from spatialhist import metrics


def test_mutual_information_is_scikit_learns_less_the_bias():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((200, 5))
    predicted = truth * np.linspace(0, 2, 5) + rng.standard_normal(truth.shape)
    expected = []
    for t, p in zip(truth.T, predicted.T, strict=True):
        a, b = (pd.qcut(values, 4, labels=False) for values in (t, p))
        filled = len(set(zip(a, b, strict=True)))
        expected.append(mutual_info_score(a, b) - (filled - 4 - 4 + 1) / 400)
    np.testing.assert_allclose(metrics.mutual_information(truth, predicted, bins=4), expected, atol=1e-12)


def test_mutual_information_by_hand():
    truth = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])[:, None]
    predicted = np.array([1.0, 2.0, 3.0, 5.0, 4.0, 6.0, 7.0, 8.0])[:, None]
    # shares 3/8, 1/8, 1/8, 3/8 in four cells, against 1/4 each; bias (4 - 2 - 2 + 1) / 16
    information = 2 * 3 / 8 * np.log(3 / 2) + 2 / 8 * np.log(1 / 2)
    np.testing.assert_allclose(metrics.mutual_information(truth, predicted, bins=2), [information - 1 / 16])


def test_mutual_information_of_noise_is_zero_on_average():
    rng = np.random.default_rng(0)
    truth, predicted = rng.standard_normal((2, 300, 400))
    values = metrics.mutual_information(truth, predicted)
    # the correction is of first order: what stays is a tenth of the bias of (8 - 1)^2 / 600 = 0.082
    assert abs(values.mean()) < 0.008


def test_mutual_information_sees_what_correlation_does_not():
    truth = np.linspace(-1, 1, 400)[:, None]
    assert abs(metrics.pearson(truth, truth**2)) < 1e-10
    assert metrics.mutual_information(truth, truth**2) > 1


def test_mutual_information_of_constants():
    varied, flat = np.arange(16.0)[:, None], np.full((16, 1), 0.1)
    np.testing.assert_allclose(metrics.mutual_information(varied, flat), [0], atol=1e-12)
    assert np.isnan(metrics.mutual_information(flat, varied)).all()
    with pytest.raises(ValueError, match="bins must be at least 2, found 1"):
        metrics.mutual_information(varied, varied, bins=1)


def test_jensen_shannon_equals_scipy(pair):
    truth, predicted = pair[0], np.abs(pair[1])
    expected = [jensenshannon(t, p, base=2) ** 2 for t, p in zip(truth.T, predicted.T, strict=True)]
    np.testing.assert_allclose(metrics.jensen_shannon(truth, predicted), expected, rtol=1e-9)


def test_jensen_shannon_by_hand():
    # (1, 0) against (1/2, 1/2): middle (3/4, 1/4)
    expected = 0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3) + 0.25 * np.log2(2)
    np.testing.assert_allclose(metrics.jensen_shannon([[7.0], [0.0]], [[3.0], [3.0]]), [expected])


def test_jensen_shannon_where_nothing_is_expressed_or_predicted():
    truth, predicted = [[1.0, 0.0], [2.0, 0.0]], [[-1.0, 1.0], [0.0, 1.0]]
    np.testing.assert_array_equal(metrics.jensen_shannon(truth, predicted), [1.0, np.nan])


def test_jensen_shannon_refuses_negative_truth():
    with pytest.raises(ValueError, match="truth has negative values"):
        metrics.jensen_shannon([[-1.0], [1.0]], [[0.0], [1.0]])
