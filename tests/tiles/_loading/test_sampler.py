from __future__ import annotations

import numpy as np
import pytest
from torch.utils.data import DataLoader

from spatialhist._sdata.build import build_slide
from spatialhist.tiles import ChunkSampler, TileDataset, TileSpec

SPEC = TileSpec(("px", 8), 8)


def make_sdata():
    rng = np.random.default_rng(0)
    xy = rng.uniform([0, 0], [3000, 200], (400, 2))
    image = np.zeros((3, 200, 3000), np.uint8)
    return build_slide(image, xy, np.ones((400, 1)), slide="S1", genes=["g"])


@pytest.fixture(scope="module")
def ds():
    return TileDataset(make_sdata(), SPEC)


def test_every_epoch_is_another_permutation(ds):
    sampler = ChunkSampler(ds, window=50, seed=3)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(len(sampler)))
    assert first != second


def test_same_seed_and_epoch_give_the_same_order(ds):
    one, two = ChunkSampler(ds, seed=3), ChunkSampler(ds, seed=3)
    list(one)
    two.set_epoch(1)
    assert list(one) == list(two)
    assert list(ChunkSampler(ds, seed=4)) != list(ChunkSampler(ds, seed=3))


def test_a_window_holds_few_areas(ds):
    order = np.array(list(ChunkSampler(ds, window=20)))
    area = ds.blocks()[order, 2] // 4
    changes = [len(np.unique(area[i : i + 20])) for i in range(0, len(order), 20)]
    assert len(np.unique(area)) == 2
    assert sum(n > 1 for n in changes) <= 1


@pytest.mark.parametrize(("cache_mb", "areas"), [(1, 1), (5, 1), (1000, 2)])
def test_windows_hold_what_the_cache_holds(ds, cache_mb, areas):
    small = TileDataset(make_sdata(), SPEC, cache_mb=cache_mb)
    area = ds.blocks()[np.array(list(ChunkSampler(small))), 2] // 4
    changes = (np.diff(area) != 0).sum()
    assert changes == 1 if areas == 1 else changes > 20


def test_serves_a_loader(ds):
    loader = DataLoader(ds, batch_size=64, sampler=ChunkSampler(ds))
    spots = np.concatenate([batch["spot"] for batch in loader])
    np.testing.assert_array_equal(np.sort(spots), np.arange(400))
    assert (spots != np.arange(400)).mean() > 0.9


def test_window_must_hold_a_sample(ds):
    with pytest.raises(ValueError, match="window=0"):
        ChunkSampler(ds, window=0)
