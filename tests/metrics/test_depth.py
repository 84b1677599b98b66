from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from spatialhist import metrics


@pytest.fixture
def spots():
    """Depths with a heavy tail; truth and prediction of three targets that follow them in other ways, bent ones too."""
    rng = np.random.default_rng(3)
    depth = np.round(np.exp(rng.normal(7, 0.8, 90)))
    logs = np.log1p(depth)
    shared = rng.normal(size=(90, 3))
    truth = shared + np.outer(logs, [2.0, -1.0, 0.0]) + 0.5 * np.outer(logs**2, [0, 0.3, 0]) + rng.normal(size=(90, 3))
    predicted = shared + np.outer(logs, [1.0, 3.0, 0.5]) + rng.normal(size=(90, 3)) + 4
    return truth, predicted, depth


def residuals(values, depth):
    design = np.column_stack([np.log1p(depth), np.log1p(depth) ** 2])
    return values - LinearRegression().fit(design, values).predict(design)


def test_equals_the_correlation_of_residuals_of_another_library(spots):
    truth, predicted, depth = spots
    expected = [
        stats.pearsonr(t, p).statistic
        for t, p in zip(residuals(truth, depth).T, residuals(predicted, depth).T, strict=True)
    ]
    found = metrics.pearson_beyond_depth(truth, predicted, depth)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (np.abs(found - metrics.pearson(truth, predicted)) > 0.05).all()


def test_equals_the_partial_correlation_from_the_precision_matrix(spots):
    truth, predicted, depth = spots
    logs = np.log1p(depth)
    joint = np.column_stack([truth[:, 1], predicted[:, 1], logs, logs**2])
    precision = np.linalg.inv(np.corrcoef(joint.T))
    expected = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    assert metrics.pearson_beyond_depth(truth, predicted, depth)[1] == pytest.approx(expected, abs=1e-6)


def test_truth_and_prediction_change_places(spots):
    truth, predicted, depth = spots
    there, back = (metrics.pearson_beyond_depth(*pair, depth) for pair in ((truth, predicted), (predicted, truth)))
    np.testing.assert_allclose(there, back, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_depth_alone_says_scores_exactly_zero(spots, dtype):
    truth, _, depth = spots
    logs = np.log1p(depth)
    predicted = np.column_stack([logs, 100 - 3 * logs + logs**2, np.full(90, 5.0)]).astype(dtype)
    assert metrics.pearson_beyond_depth(truth, predicted, depth).tolist() == [0, 0, 0]


def test_a_truth_of_depth_alone_has_no_score(spots):
    _, predicted, depth = spots
    truth = np.column_stack([np.log1p(depth), predicted[:, 1], np.full(90, 5.0)])
    found = metrics.pearson_beyond_depth(truth, predicted, depth)
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == pytest.approx(1)


def test_spots_of_one_depth_leave_the_headline(spots):
    truth, predicted, _ = spots
    found = metrics.pearson_beyond_depth(truth, predicted, np.full(90, 1200))
    np.testing.assert_allclose(found, metrics.pearson(truth, predicted), atol=1e-12)


def test_two_depths_are_two_levels(spots):
    """The square of two values says nothing that the values do not."""
    truth, predicted, _ = spots
    deep = np.arange(90) % 3 == 0
    centered = [v - np.where(deep[:, None], v[deep].mean(axis=0), v[~deep].mean(axis=0)) for v in (truth, predicted)]
    found = metrics.pearson_beyond_depth(truth, predicted, np.where(deep, 900, 300))
    np.testing.assert_allclose(found, metrics.pearson(*centered), atol=1e-9)


def test_three_spots_leave_nothing(spots):
    truth, predicted, depth = (v[:3] for v in spots)
    assert np.isnan(metrics.pearson_beyond_depth(truth, predicted, depth)).all()


def test_a_target_without_values_is_left_out(spots):
    truth, predicted, depth = spots
    predicted = predicted.copy()
    predicted[:, 0] = np.nan
    found = metrics.pearson_beyond_depth(truth, predicted, depth)
    assert np.isnan(found).tolist() == [True, False, False]


def test_wrong_depths_are_refused(spots):
    truth, predicted, depth = spots
    with pytest.raises(ValueError, match=r"depth has shape \(89,\), expected \(90,\)"):
        metrics.pearson_beyond_depth(truth, predicted, depth[:-1])
    for bad in (np.nan, np.inf, -1.0):
        gap = depth.copy()
        gap[[4, 7]] = bad
        with pytest.raises(ValueError, match="depth is missing, infinite or below 0 in 2 of 90 spots"):
            metrics.pearson_beyond_depth(truth, predicted, gap)


def test_a_ceiling_beyond_depth_is_what_the_true_expression_reaches_there():
    rng = np.random.default_rng(0)
    size = np.exp(rng.normal(0, 0.5, (4000, 1)))
    own = np.exp(np.column_stack([0.5 * rng.normal(size=4000), np.zeros(4000), 1.0 * rng.normal(size=4000)]))
    level, rest = size * own * [6, 6, 1], size * 300
    counts, depth = rng.poisson(level), rng.poisson(rest)[:, 0]
    beyond = metrics.noise_ceiling(counts, np.sqrt, depth=depth, repeats=3)
    # the two targets that vary beyond depth reach what the truth reaches, the one that does not reaches nothing
    reached = metrics.pearson_beyond_depth(np.sqrt(counts), np.sqrt(level), depth)
    np.testing.assert_allclose(beyond[[0, 2]], reached[[0, 2]], atol=0.04)
    assert beyond[1] < 0.25 < 0.6 < metrics.noise_ceiling(counts, np.sqrt, repeats=3)[1]
