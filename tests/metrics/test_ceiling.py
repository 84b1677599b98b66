from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from spatialhist import metrics


@given(counts=arrays(np.int64, (6, 3), elements=st.integers(0, 1000)), seed=st.integers(0, 99))
def test_halves_sum_to_the_counts(counts, seed):
    first, second = metrics.split_half(counts, np.random.default_rng(seed))
    np.testing.assert_array_equal(first + second, counts)
    assert (first >= 0).all() and (second >= 0).all()


def test_halves_of_poisson_counts_are_independent_and_even():
    rng = np.random.default_rng(0)
    first, second = metrics.split_half(rng.poisson(6.0, size=(20_000, 1)), rng)
    assert abs(metrics.pearson(first, second)) < 3 / np.sqrt(20_000)
    assert first.mean() == pytest.approx(3, abs=0.05)
    assert first.var() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("counts", [[[0.5]], [[-1.0]], [[np.nan]], [[np.inf]]])
def test_only_counts_can_be_split(counts):
    with pytest.raises(ValueError, match="counts must be whole numbers from 0 up"):
        metrics.split_half(counts, np.random.default_rng(0))


def test_reliability_by_hand():
    np.testing.assert_allclose(metrics.reliability([0.0, 1 / 3, 1.0, -0.5, np.nan]), [0, 0.5, 1, 0, np.nan])


def test_ceiling_is_what_the_true_expression_reaches():
    rng = np.random.default_rng(0)
    level = rng.gamma(2.0, size=(4000, 1)) * [0.3, 1.0, 10.0]
    counts = rng.poisson(level)
    reached = metrics.pearson(counts, level)
    np.testing.assert_allclose(metrics.noise_ceiling(counts, lambda half: half, repeats=3), reached, atol=0.03)
    # theory: the share of the variance of the counts that is variance of the level
    share = 2 * np.array([0.3, 1.0, 10.0]) ** 2 / (2 * np.array([0.3, 1.0, 10.0]) ** 2 + 2 * np.array([0.3, 1.0, 10.0]))
    np.testing.assert_allclose(reached, np.sqrt(share), atol=0.03)


def test_ceiling_of_noise_is_low_and_of_nothing_is_undefined():
    rng = np.random.default_rng(0)
    counts = np.column_stack([rng.poisson(5.0, 3000), np.zeros(3000, int)])
    ceiling = metrics.noise_ceiling(counts, np.log1p)
    assert ceiling[0] < 0.25
    assert np.isnan(ceiling[1])


def test_a_gene_seen_once_is_not_reliable():
    counts = np.zeros((50, 1), int)
    counts[3] = 1
    assert metrics.noise_ceiling(counts, np.log1p).tolist() == [0.0]


def test_same_seed_same_ceiling():
    counts = np.random.default_rng(0).poisson(2.0, (40, 5))
    first, again, other = (metrics.noise_ceiling(counts, np.log1p, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    with pytest.raises(ValueError, match="repeats must be at least 1, found 0"):
        metrics.noise_ceiling(counts, np.log1p, repeats=0)


KINDS = {
    "sparse": sparse.csr_array,
    "unsigned": lambda c: c.astype(np.uint8),
    "nullable": lambda c: pd.DataFrame(c).astype("Int64"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_counts_of_any_kind(kind):
    counts = np.random.default_rng(0).poisson(4.0, (50, 3))
    np.testing.assert_array_equal(
        metrics.noise_ceiling(KINDS[kind](counts), np.sqrt, seed=1), metrics.noise_ceiling(counts, np.sqrt, seed=1)
    )
