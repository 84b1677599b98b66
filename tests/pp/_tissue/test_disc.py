from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialhist.pp._tissue.disc import disc_share


def segment_share(distance: float, radius: float) -> float:
    """Share of a disc beyond a line at a distance from its center."""
    d = distance / radius
    return (np.arccos(d) - d * np.sqrt(1 - d * d)) / np.pi


@given(st.floats(-4.9, 4.9), st.floats(0.5, 2.0), st.floats(0.5, 2.0))
@settings(deadline=None)
def test_half_planes_match_the_circular_segment(shift, width, height):
    mask = np.zeros((40, 60), dtype=bool)
    mask[:, 30:] = True
    right = disc_share(mask, np.array([[30 * width - shift, 20 * height]]), 5.0, (width, height))
    assert right == pytest.approx(segment_share(shift, 5.0), abs=1e-9)
    mask = np.zeros((40, 60), dtype=bool)
    mask[20:] = True
    lower = disc_share(mask, np.array([[30 * width, 20 * height - shift]]), 5.0, (width, height))
    assert lower == pytest.approx(segment_share(shift, 5.0), abs=1e-9)


def test_matches_fine_sampling_of_a_random_mask():
    rng = np.random.default_rng(0)
    mask = rng.random((17, 23)) > 0.5
    xy = rng.uniform([-2, -2], [25, 19], (10, 2))
    axis = (np.arange(1000) + 0.5) / 1000 * 2 - 1
    dx, dy = (a[np.hypot(*np.meshgrid(axis, axis)) <= 1] * 3.3 for a in np.meshgrid(axis, axis))
    padded = np.pad(mask, 10)
    expected = [padded[np.floor(y + dy).astype(int) + 10, np.floor(x + dx).astype(int) + 10].mean() for x, y in xy]
    np.testing.assert_allclose(disc_share(mask, xy, 3.3), expected, atol=2e-3)


def test_disc_smaller_than_a_pixel():
    mask = np.array([[False, True]])
    np.testing.assert_allclose(disc_share(mask, np.array([[1.5, 0.5], [1.0, 0.5], [0.5, 0.5]]), 0.2), [1, 0.5, 0])


def test_outside_is_not_covered_and_nan_stays():
    share = disc_share(np.ones((10, 20), dtype=bool), np.array([[0.0, 5.0], [50.0, 5.0], [np.nan, 5.0]]), 3.0)
    np.testing.assert_allclose(share, [0.5, 0, np.nan])
