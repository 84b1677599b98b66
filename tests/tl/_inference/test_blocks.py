from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import numpy as np
import pytest
from small_cohorts import draw_cohort, mean_color

import spatialhist as sh
from spatialhist._sdata.cohort import open_images
from spatialhist.tl._inference.blocks import Block, predict_blocks
from spatialhist.tl._inference.grid import lay_grid
from spatialhist.tl._inference.trained import Applier

SLIDE = "S2"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Slides that no run has seen, in a store."""
    path = tmp_path_factory.mktemp("blocks") / "new.zarr"
    sdata = draw_cohort(5, n_slides=2, signal=0.8, images_seed=9)
    sdata.write(path)
    return open_images(sh.io.read(path))


@pytest.fixture
def grid(finished, stored):
    applier = Applier.of(finished[2])
    design = applier.design(mean_color)
    return lay_grid(stored.slide(SLIDE), applier, design, spacing=("px", 15.0), lattice="hex", within="tissue")


def test_the_executor_does_not_change_a_byte(finished, grid):
    applier = Applier.of(finished[2])
    options = {"block": 30, "cache": None, "progress": False}
    values, away = predict_blocks(grid, applier, executor=None, **options)
    with ThreadPoolExecutor(2) as pool:
        others = predict_blocks(grid, applier, executor=pool, **options)
    assert values.tobytes() == others[0].tobytes()
    assert away.tobytes() == others[1].tobytes()
    assert np.isfinite(values).all()


def test_a_block_travels_light_and_predicts_the_same(finished, grid):
    shared = Block.of(grid, Applier.of(finished[2]))
    position = np.zeros((20, 2))
    before = shared.predict(grid.slide.spots[:20], position)
    data = cloudpickle.dumps(shared)
    assert len(data) < 100_000
    after = cloudpickle.loads(data).predict(grid.slide.spots[:20], position)
    assert [a.tobytes() for a in before] == [a.tobytes() for a in after]
