from __future__ import annotations

import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import Ridge


@pytest.fixture
def cohort():
    """Four slides whose counts follow the red channel."""
    return draw_cohort(1, signal=0.8)


@pytest.fixture(scope="session")
def ridges():
    """Two models that take a moment."""
    return [Ridge(components=6), Ridge(name="ridge_raw", standardized=False, components=6)]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, ridges):
    """Four slides with a cross-validation of two ridges and their stack; only to be read."""
    sdata = draw_cohort(1, signal=0.8)
    out = tmp_path_factory.mktemp("finished") / "run"
    cv = sh.tl.cross_validate(sdata, models=ridges, genes=8, groups="patient", out=out, **FAST)
    return sdata, cv, sh.tl.stack(sdata, cv)
