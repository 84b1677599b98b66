from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from spatialhist.tl._scores.paired import groups_for, mean_interval, sign_flip_p, smallest_p

DIFFERENCES = np.array([0.04, -0.01, 0.03, 0.07, 0.02, 0.05, 0.06])


def by_hand(differences):
    """Share of all sign flips whose mean is as far from 0."""
    flips = np.array(list(itertools.product([1, -1], repeat=len(differences))))
    means = np.abs(flips @ differences)
    return np.mean(means >= abs(differences.sum()) - 1e-12)


def test_p_counts_all_sign_flips():
    assert sign_flip_p(DIFFERENCES) == pytest.approx(by_hand(DIFFERENCES))
    assert sign_flip_p(-DIFFERENCES) == pytest.approx(by_hand(DIFFERENCES))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_smallest_p_is_that_of_wins_everywhere(n):
    assert sign_flip_p(np.arange(1.0, n + 1)) == pytest.approx(smallest_p(n))


def test_equal_scores_are_no_difference():
    assert sign_flip_p(np.zeros(4)) == 1


def test_six_groups_are_needed():
    assert groups_for(0.05) == 6


def test_three_groups_have_a_wide_interval_of_a_low_level():
    assert mean_interval(np.array([0.3, 0.1, 0.2]), 0.95) == (0.1, 0.3, 0.75)


def test_interval_holds_what_the_test_does_not_reject():
    low, high, level = mean_interval(DIFFERENCES, 0.95)
    assert 0.95 <= level < 0.97
    for center, rejected in ((low - 1e-6, True), (low + 1e-6, False), (high - 1e-6, False), (high + 1e-6, True)):
        assert (by_hand(DIFFERENCES - center) <= 1 - level + 1e-12) == rejected


def test_interval_covers_the_center_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside, levels = [], []
    for _ in range(2000):
        low, high, level = mean_interval(rng.standard_t(3, 8) * 0.1 + 0.5, 0.95)
        inside.append(low <= 0.5 <= high)
        levels.append(level)
    assert np.mean(inside) == pytest.approx(np.mean(levels), abs=0.015)


def test_one_group_has_no_interval():
    low, high, level = mean_interval(np.array([0.3]), 0.95)
    assert np.isnan([low, high]).all()
    assert level == 0


def test_many_groups_are_sampled():
    differences = np.random.default_rng(1).normal(0.1, 0.3, 40)
    low, high, level = mean_interval(differences, 0.95)
    t = stats.t.interval(0.95, 39, differences.mean(), stats.sem(differences))
    assert (low, high) == pytest.approx(t, abs=0.02)
    assert level == pytest.approx(0.95, abs=1e-3)
    assert sign_flip_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
