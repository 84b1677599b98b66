from __future__ import annotations

import threading
from unittest.mock import patch

import numpy as np
import pytest
import torch

from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist.tiles import TileDataset, TileReader, TileSpec, loader
from spatialhist.tiles._loading.loader import Batches


def one_slide(name: str, seed: int):
    xy = np.random.default_rng(seed).uniform([0, 0], [900, 600], (40, 2))
    image = np.zeros((3, 600, 900), np.uint8)
    return build_slide(image, xy, np.ones((40, 1)), slide=name, genes=["g"])


@pytest.fixture(scope="module")
def ds():
    return TileDataset(concat_slides([one_slide("S1", 0), one_slide("S2", 1)]), TileSpec(("px", 8), 8), layer="X")


def spots(batches) -> list[tuple[str, int]]:
    return [spot for batch in batches for spot in zip(batch["region"], batch["spot"], strict=True)]


def test_batches_are_those_of_the_dataset(ds):
    batch = list(loader(ds, 16, order="table"))[2]
    expected = ds[range(32, 48)]
    assert all(torch.equal(batch[key], expected[key]) for key in ("tile", "subtiles", "center", "target", "xy"))


def test_shuffled_order_differs_by_epoch_and_seed(ds):
    batches = loader(ds, 16, seed=5)
    first, second = spots(batches), spots(batches)
    assert len(batches) == 5
    assert sorted(first) == sorted(second) == sorted(spots(loader(ds, 16, order="table")))
    assert first != second
    assert spots(loader(ds, 16, seed=5)) == first
    batches.dataset.batches.set_epoch(0)
    assert spots(batches) == first


def test_stored_order_is_that_of_the_reader_slide_by_slide(ds):
    order = [i for batch in loader(ds, 16, order="stored").dataset.batches for i in batch]
    reader = TileReader(ds._readers["S2"].source)
    assert sorted(order[:40]) == list(range(40))
    np.testing.assert_array_equal(np.array(order[40:]) - 40, reader.order(ds.xy[40:], 8, 8))


def test_each_worker_gets_one_stretch_of_the_order():
    batches = list(Batches(range(29), 4, runs=3))
    assert [batches[w::3] for w in range(3)] == [
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]],
        [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]],
        [[24, 25, 26, 27], [28]],
    ]
    assert list(Batches(range(5), 4, runs=3)) == [[0, 1, 2, 3], [4]]


def test_next_batch_is_read_while_the_caller_works(ds):
    taken, reading = threading.Event(), threading.Event()
    original = TileDataset.read

    def read(self, index, size=0):
        if index[0] == 8:
            reading.set()
            assert taken.wait(timeout=10)
        return original(self, index, size)

    with patch.object(TileDataset, "read", read):
        batches = iter(loader(ds, 8, order="table"))
        next(batches)
        assert reading.wait(timeout=10)
        taken.set()
        assert len(list(batches)) == 9


def test_what_goes_wrong_while_reading_ahead_is_raised(ds):
    with patch.object(TileDataset, "read", side_effect=OSError("gone")), pytest.raises(OSError, match="gone"):
        list(loader(ds, 8))


def test_workers_change_the_order_only(ds):
    assert sorted(spots(loader(ds, 8, workers=2, order="stored"))) == sorted(spots(loader(ds, 8, order="stored")))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"order": "random"}, "order='random' is not one of"), ({"batch_size": 0}, "batch_size=0 must be at least 1")],
)
def test_refuses_what_is_no_order(ds, options, message):
    with pytest.raises(ValueError, match=message):
        loader(ds, **{"batch_size": 4, **options})


@pytest.mark.parametrize(("order", "world"), [("stored", 2), ("shuffled", 3), ("table", 9)])
def test_processes_that_train_together_get_a_stretch_each(ds, monkeypatch, order, world):
    whole = [b["spot"] for b in loader(ds, 16, order=order, seed=5)]
    parts = []
    for rank in range(world):
        monkeypatch.setattr("spatialhist.tiles._loading.loader.rank_and_world", lambda rank=rank: (rank, world))
        batches = loader(ds, 16, order=order, seed=5)
        parts.append([b["spot"] for b in batches])
        assert len(batches) == len(parts[-1])
    every = sum(parts, [])
    assert {len(p) for p in parts} == {-(-len(whole) // world)}
    assert every[: len(whole)] == whole
    assert all(batch in whole for batch in every[len(whole) :])
