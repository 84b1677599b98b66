from __future__ import annotations

import pytest
from small_cohorts import draw_cohort


@pytest.fixture
def cohort():
    """Four slides whose counts follow the red channel."""
    return draw_cohort(1, signal=0.8)
