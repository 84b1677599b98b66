from __future__ import annotations

import math

import numpy as np
import pytest

from spatialhist.pp._tissue.optical_density import optical_density


def test_white_is_clear_and_black_absorbs_a_finite_amount():
    pixels = np.array([[[255, 127, 0], [254, 63, 31]]], dtype=np.uint8)
    density = optical_density(pixels)
    assert density.dtype == np.float32 and density.shape == (1, 2, 3)
    expected = [[[0, math.log(2), math.log(256)], [math.log(256 / 255), math.log(4), math.log(8)]]]
    assert density == pytest.approx(np.array(expected), abs=1e-6)
