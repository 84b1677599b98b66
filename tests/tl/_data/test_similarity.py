from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._data.similarity import agree


@pytest.mark.parametrize("scale", [1.0, 0.4 * np.exp(0.6j), 3.0 * np.exp(-2.5j)])
def test_the_transformation_of_most_matches_is_found_among_wrong_ones(scale):
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 300, 90) + 1j * rng.uniform(0, 200, 90)
    b = scale * a + (40 - 25j) + rng.normal(0, 0.3, 90)
    b[60:] = rng.uniform(-300, 300, 30) + 1j * rng.uniform(-300, 300, 30)
    found = agree(a, b, 2.0)
    assert found.inliers[:60].all() and found.n <= 62
    np.testing.assert_allclose(found.scale, scale, rtol=0.01)
    np.testing.assert_allclose(found.to_first(found.to_second(a)), a)


def test_matches_that_are_all_wrong_agree_on_little():
    rng = np.random.default_rng(1)
    a, b = (rng.uniform(0, 300, 90) + 1j * rng.uniform(0, 300, 90) for _ in range(2))
    found = agree(a, b, 2.0)
    assert found is None or found.n < 6


@pytest.mark.parametrize("n", [0, 2, 5])
def test_too_few_places_agree_on_nothing(n):
    assert agree(np.ones(n, complex), np.ones(n, complex), 2.0) is None
