from __future__ import annotations

import warnings

import pytest
from bad_box import fresh, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A small cohort in a store, with a run; only to be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def box(world, tmp_path):
    """A copy of the cohort that a test may break."""
    return fresh(world, tmp_path)
