from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from spatialhist import metrics


def test_equals_scikit_learn_with_ties(pair):
    truth, predicted = pair[0], pair[1].round(1)
    expected = [roc_auc_score(t > 0, p) for t, p in zip(truth.T, predicted.T, strict=True)]
    np.testing.assert_allclose(metrics.auc_detected(truth, predicted), expected)


def test_by_hand():
    # pairs (detected, not): 0.3 beats 0.1, ties 0.3, so 1.5 of 2; 0.9 beats both: 3.5 of 4
    truth, predicted = [[0.0], [0.0], [1.0], [3.0]], [[0.1], [0.3], [0.3], [0.9]]
    np.testing.assert_allclose(metrics.auc_detected(truth, predicted), [3.5 / 4])


def test_constant_prediction_is_half_and_one_class_is_left_out():
    truth = np.column_stack([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(metrics.auc_detected(truth, np.ones((3, 3))), [0.5, np.nan, np.nan])
