from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch

from spatialhist._sdata.build import build_slide
from spatialhist.tiles import PixelSource, TileDataset, TileSpec, to_memory


@pytest.fixture
def ds():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 70, 110), dtype=np.uint8)
    xy = rng.uniform([0, 0], [110, 70], (12, 2))
    sdata = build_slide(image, xy, rng.poisson(3, (12, 2)), slide="S1", genes=["a", "b"])
    return TileDataset(sdata, TileSpec(("px", 18), 9), layer="X")


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
    before = memory.tiles.copy()
    memory[0]["tile"].zero_()
    np.testing.assert_array_equal(memory.tiles, before)


def test_refuses_what_does_not_fit(ds):
    with pytest.raises(MemoryError, match="12 tiles of 9 pixels take 2.9e-06 GB.*max_gb=1e-06.*ChunkSampler"):
        to_memory(ds, max_gb=1e-6)
