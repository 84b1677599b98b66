from __future__ import annotations

import numpy as np

from spatialhist.pp._activity import spot_activity


def test_activity_counts_half_covered_spots_as_nothing():
    rng = np.random.default_rng(0)
    high, low = rng.lognormal(7, 0.2, 300), rng.lognormal(3, 0.5, 60)
    np.testing.assert_array_equal(spot_activity(np.concatenate([high, low])) > 0, np.arange(360) < 300)
    assert (spot_activity(high) == 1).mean() > 0.98
    assert (spot_activity(np.append(high, 0)) == 1).sum() < 301
    assert (spot_activity(np.full(9, 5.0)) == 1).all()
    covered = np.concatenate([np.ones(90), np.full(20, 0.5), np.zeros(40)])
    np.testing.assert_allclose(spot_activity(1000 * covered), 2 * covered - 1)
