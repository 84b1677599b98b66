from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from spatialhist._sdata.build import build_slide
from spatialhist.nn import augment, split_tiles
from spatialhist.tiles import PixelSource, TileDataset, TileSpec, to_memory

SPEC = TileSpec(("px", 18), 9)


def dataset(spec):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 70, 110), dtype=np.uint8)
    xy = rng.uniform([0, 0], [110, 70], (12, 2))
    sdata = build_slide(image, xy, rng.poisson(3, (12, 2)), slide="S1", genes=["a", "b"])
    return TileDataset(sdata, spec, layer="X")


@pytest.fixture
def ds():
    return dataset(SPEC)


def test_samples_are_the_same_without_reading_again(ds):
    expected = ds.__getitems__([4, 1, 11])
    memory = to_memory(ds)
    with patch.object(PixelSource, "read", side_effect=AssertionError):
        found = memory.__getitems__([4, 1, 11])
    for a, b in zip(expected, found, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in ("tile", "subtiles", "center", "target", "xy"))
        assert (a["spot"], a["region"]) == (b["spot"], b["region"])
    assert len(memory) == 12
    np.testing.assert_array_equal(memory.rows, ds.rows)


def test_changing_a_sample_leaves_the_tiles_alone(ds):
    memory = to_memory(ds)
    before = memory.tiles[0].copy()
    memory[0]["tile"].zero_()
    np.testing.assert_array_equal(memory.tiles[0], before)


def test_refuses_what_does_not_fit(ds):
    with pytest.raises(MemoryError, match="12 tiles of 9 pixels take 2.9e-06 GB.*max_gb=1e-06.*sh.tiles.loader"):
        to_memory(ds, max_gb=1e-6)


def test_batches_without_change_are_those_of_the_dataset(ds):
    batches = list(to_memory(ds).batches(5, shuffle=False, augment=None))
    assert [len(batch["tile"]) for batch in batches] == [5, 5, 2]
    expected = ds[[5, 6, 7, 8, 9]]
    assert batches[1].keys() == expected.keys()
    assert all(torch.equal(batches[1][k], expected[k]) for k in ("tile", "subtiles", "center", "target", "xy"))
    assert batches[1]["spot"] == expected["spot"]


def test_tiles_and_subtiles_are_changed_alike(ds):
    memory = to_memory(ds)
    batch = next(memory.batches(12, seed=2))
    plain = next(memory.batches(12, seed=2, augment=None))
    assert batch["spot"] == plain["spot"]
    assert torch.equal(batch["target"], plain["target"])
    assert not torch.equal(batch["tile"], plain["tile"])
    assert torch.equal(batch["subtiles"], split_tiles(batch["tile"], 3))
    assert torch.equal(batch["center"], batch["tile"][:, :, 3:6, 3:6])


def test_every_epoch_has_another_order_and_other_changes(ds):
    memory = to_memory(ds)
    first, again, other, seed = (next(memory.batches(12, **options)) for options in ({}, {}, {"epoch": 1}, {"seed": 1}))
    assert torch.equal(first["tile"], again["tile"])
    for batch in (other, seed):
        assert sorted(batch["spot"]) == sorted(first["spot"])
        assert batch["spot"] != first["spot"]
    fixed = [next(memory.batches(12, shuffle=False, epoch=epoch))["tile"] for epoch in (0, 1)]
    assert not torch.equal(*fixed)


def test_sizes_are_turned_alike():
    ds = dataset([SPEC, replace(SPEC, pixels=18)])
    ds.xy = np.floor(ds.xy)  # so that copied tiles start at a whole pixel
    small, large = next(to_memory(ds).batches(12, augment=lambda t, g: augment(t, g, stain_jitter=0)))["tile"]
    halved = large.float().unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
    assert (halved - small).abs().max() <= 0.5


def test_batches_go_to_the_device(ds):
    batch = next(to_memory(ds).batches(4, augment=None, device="meta"))
    assert {batch[key].device.type for key in ("tile", "subtiles", "center", "target", "xy")} == {"meta"}


def test_a_batch_holds_a_sample(ds):
    with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
        next(to_memory(ds).batches(0))
