from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tiles import PixelSource
from spatialhist.tiles._reading.plan import groups, make_plan, needed_blocks, reading_order

CENTERS = np.random.default_rng(0).uniform([0, 0], [422, 301], (200, 2))


@pytest.fixture(scope="module")
def source(pyramid):
    return PixelSource(pyramid)


@pytest.mark.parametrize(
    ("extent", "side", "level"), [(20, 20, 0), (39, 20, 0), (40, 20, 1), (79, 20, 1), (900, 20, 2)]
)
def test_coarsest_level_with_enough_pixels_is_taken(source, extent, side, level):
    assert make_plan(source, CENTERS, extent, side).level == level


def test_groups_hold_every_tile_once_within_their_limits(source):
    plan = make_plan(source, CENTERS, 40, 40)
    parts = list(groups(plan, reading_order(plan, 4), batch=30, max_blocks=3))
    np.testing.assert_array_equal(np.sort(np.concatenate([index for index, _ in parts])), np.arange(200))
    assert max(len(index) for index, _ in parts) == 30
    assert all(len(keys) <= 3 or len(index) == 1 for index, keys in parts)
    assert set().union(*(keys for _, keys in parts)) == needed_blocks(plan)


def test_needed_blocks_are_those_under_the_tiles(source):
    plan = make_plan(source, np.array([[255.0, 100.0], [-500.0, 20.0]]), 20, 20)
    assert plan.block_shape == (256, 256)
    assert needed_blocks(plan) == {(0, 0), (0, 1)}
    assert plan.outside.tolist() == [False, True]


def test_narrow_cache_reads_in_bands(source):
    plan = make_plan(source, CENTERS, 30, 30)
    columns = (plan.start[:, 1] // 256)[reading_order(plan, 1)]
    assert (np.diff(columns) >= 0).all()
