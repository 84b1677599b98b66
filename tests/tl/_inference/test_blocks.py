from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
import torch
from small_cohorts import draw_cohort, mean_color

import spatialhist as sh
from spatialhist._sdata.cohort import open_images
from spatialhist.tl._inference.blocks import Block, block_name, keep_blocks, predict_blocks
from spatialhist.tl._inference.grid import lay_grid
from spatialhist.tl._load import as_trained

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
    trained = as_trained(finished[2])
    design = trained.design(mean_color)
    return lay_grid(stored.slide(SLIDE), trained, design, spacing=("px", 15.0), lattice="hex", within="tissue")


def test_the_executor_does_not_change_a_byte(finished, grid):
    trained = as_trained(finished[2])
    options = {"block": 30, "cache": None, "progress": False}
    values, away = predict_blocks(grid, trained, executor=None, **options)
    with ThreadPoolExecutor(2) as pool:
        others = predict_blocks(grid, trained, executor=pool, **options)
    assert values.tobytes() == others[0].tobytes()
    assert away.tobytes() == others[1].tobytes()
    assert np.isfinite(values).all()


def test_a_block_travels_light_and_predicts_the_same(finished, grid):
    shared = Block.of(grid, as_trained(finished[2]))
    position = np.zeros((20, 2))
    before = shared.predict(grid.slide.spots[:20], position)
    data = cloudpickle.dumps(shared)
    assert len(data) < 100_000
    after = cloudpickle.loads(data).predict(grid.slide.spots[:20], position)
    assert [a.tobytes() for a in before] == [a.tobytes() for a in after]


def test_tissue_is_encoded_once_where_there_is_a_folder(finished, grid, tmp_path):
    encoded = []

    def counted(tiles):
        encoded.append(len(tiles))
        return mean_color(tiles)

    counted.fingerprint = "counted"
    trained, looked_at = as_trained(finished[2]), replace(grid, design=replace(grid.design, encoder=counted))
    first = Block.of(looked_at, trained, tmp_path).tissue
    assert encoded
    encoded.clear()
    again = Block.of(looked_at, trained, tmp_path).tissue
    assert encoded == []
    for one, other in zip(first.statistics, again.statistics, strict=True):
        assert one.tobytes() == other.tobytes()
    assert [f.tobytes() for f in first.context.features] == [f.tobytes() for f in again.context.features]


def test_an_encoder_of_another_width_is_told_before_anything_is_predicted(finished, grid):
    def wider(tiles):
        return torch.cat([mean_color(tiles), mean_color(tiles)[:, :1]], dim=1)

    wider.fingerprint = mean_color.fingerprint
    other = replace(grid, design=replace(grid.design, encoder=wider))
    with pytest.raises(
        ValueError, match=r"gives 14 features of 2 field.s. of view, the model was trained on 12: pass encoder="
    ):
        Block.of(other, as_trained(finished[2]))


def result(i: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((2, 3), i, dtype=np.float32), np.full(2, 10 + i, dtype=np.float32)


def test_only_what_is_missing_is_computed_and_the_order_stays(tmp_path):
    asked = []

    def run(some):
        asked.append(list(some))
        yield from (result(i) for i in some)

    list(keep_blocks(tmp_path / "a", ["x", "y"], run))
    values = list(keep_blocks(tmp_path / "a", ["w", "x", "z", "y"], run))
    assert asked == [[0, 1], [0, 2]]
    assert [v[0, 0] for v, _ in values] == [0, 0, 2, 1]
    assert [a[0] for _, a in values] == [10, 10, 12, 11]


def test_a_block_that_is_removed_meanwhile_is_named(tmp_path):
    def run(some):
        return (result(i) for i in some)

    list(keep_blocks(tmp_path, ["x", "y"], run))
    blocks = keep_blocks(tmp_path, ["x", "y"], run)
    next(blocks)
    (tmp_path / "y.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"y\.npy was removed meanwhile"):
        next(blocks)


def test_names_tell_facts_and_arrays_apart():
    arrays = [np.arange(3.0)]
    assert block_name(["a"], arrays) == block_name(["a"], [np.arange(3.0)])
    assert len({block_name(f, a) for f, a in [(["a"], arrays), (["b"], arrays), (["a"], [np.ones(3)])]}) == 3


def test_an_interrupted_grid_goes_on_and_ends_with_the_same_bytes(finished, tmp_path, monkeypatch):
    _, cv, _ = finished
    new = draw_cohort(9, n_slides=1, images_seed=9)
    options = {"block": 64, "spacing": ("px", 12), "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(new, cv, **options)
    expected = new["S1_grid_table"].layers["predicted"].tobytes()
    predict, left = Block.predict, [2]

    def stop(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return predict(*args)

    monkeypatch.setattr(Block, "predict", stop)
    with pytest.raises(KeyboardInterrupt):
        sh.tl.predict_grid(new, cv, cache=tmp_path, **options)
    kept = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.npy")}
    assert len(kept) == 2
    left[0] = 10**6
    sh.tl.predict_grid(new, cv, cache=tmp_path, **options)
    assert kept.items() <= {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}.items()
    assert new["S1_grid_table"].layers["predicted"].tobytes() == expected
