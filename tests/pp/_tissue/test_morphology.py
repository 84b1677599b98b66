from __future__ import annotations

import numpy as np
import pytest
from skimage.morphology import isotropic_closing, isotropic_dilation, isotropic_erosion

from spatialhist.pp._tissue.morphology import closed, dilated, eroded

RADII = [0.5, 1, 1.5, 2**0.5, 2.5, 5**0.5, 13**0.5, 5, 7.3, 12.9, 60]


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("share", [0.003, 0.2, 0.99])
def test_equal_to_distance_transforms_to_the_pixel(radius, share):
    mask = np.random.default_rng(int(radius * 10)).random((41, 67)) < share
    mask[3, 5], mask[20, 30] = True, False
    before = mask.copy()
    np.testing.assert_array_equal(dilated(mask, radius), isotropic_dilation(mask, radius))
    np.testing.assert_array_equal(eroded(mask, radius), isotropic_erosion(mask, radius))
    if not dilated(mask, radius).all():
        np.testing.assert_array_equal(closed(mask, radius), isotropic_closing(mask, radius))
    np.testing.assert_array_equal(mask, before)


def test_nothing_grows_out_of_nothing_and_everything_stays():
    assert not dilated(np.zeros((4, 9), bool), 3).any()
    assert eroded(np.ones((4, 9), bool), 3).all()


def test_discs_reach_farther_than_the_image():
    mask = np.zeros((3, 5), bool)
    mask[1, 0] = True
    np.testing.assert_array_equal(dilated(mask, 2.2), isotropic_dilation(mask, 2.2))
    assert dilated(mask, 40).all()
