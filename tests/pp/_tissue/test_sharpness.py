from __future__ import annotations

import logging

import numpy as np
from scipy import ndimage as ndi

from spatialhist.pp._tissue.sharpness import spot_quality


def test_blur_lowers_sharpness():
    rng = np.random.default_rng(0)
    sharp = rng.integers(120, 240, (3, 24, 24)).astype(np.uint8)
    blurred = ndi.gaussian_filter(sharp, (0, 3, 3))
    sharpness = spot_quality(np.stack([sharp, blurred]))
    assert sharpness.shape == (2,)
    assert sharpness[1] < 0.4 * sharpness[0]


def test_says_nothing_and_leaves_the_log_alone(capsys):
    announcements = logging.getLogger("spatialdata._logging")
    level = announcements.level
    spot_quality(np.zeros((1, 3, 8, 8), np.uint8))
    assert "Quantifying" not in capsys.readouterr().out
    assert announcements.level == level
