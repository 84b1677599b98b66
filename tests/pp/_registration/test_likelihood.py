from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from spatialhist.pp._registration.likelihood import independent_spots, log_likelihood

SIDE = 24
POINTS = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2) + 0.5


def smooth(rng, sigma):
    return ndi.gaussian_filter(rng.normal(size=(SIDE, SIDE)), sigma).ravel()


def test_log_likelihood_is_that_of_the_fitted_line():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = x + rng.normal(size=500)
    slope, intercept = np.polyfit(x, y, 1)
    gain = 250 * (np.log(y.var()) - np.log((y - slope * x - intercept).var()))
    assert 500 * log_likelihood(np.corrcoef(x, y)[0, 1]) == pytest.approx(gain)


def test_what_correlates_negatively_explains_nothing_and_a_perfect_fit_is_finite():
    assert log_likelihood(-0.9) == 0
    assert np.isfinite(log_likelihood(1.0))


def test_noise_counts_every_spot_whatever_it_is_compared_with():
    rng = np.random.default_rng(0)
    for other in (rng.normal(size=len(POINTS)), smooth(rng, 2)):
        found = [independent_spots(POINTS, rng.permutation(other), other) for _ in range(20)]
        assert np.median(found) == pytest.approx(len(POINTS), rel=0.15)


def test_smooth_maps_correlate_by_chance_as_often_as_so_few_spots_would():
    rng = np.random.default_rng(0)
    pairs = [(smooth(rng, 1), smooth(rng, 1)) for _ in range(300)]
    spread = np.std([np.corrcoef(a, b)[0, 1] for a, b in pairs])
    expected = np.median([independent_spots(POINTS, a, b) for a, b in pairs])
    assert expected == pytest.approx(1 / spread**2, rel=0.25)


def test_equal_values_say_nothing_of_their_neighbors():
    assert independent_spots(POINTS, np.ones(len(POINTS)), np.ones(len(POINTS))) == len(POINTS)
