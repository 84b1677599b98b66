from __future__ import annotations

import pytest

from spatialhist.tl._predictors import batches
from spatialhist.tl._predictors.batches import EpochSampler, step_seed


def test_order_depends_on_seed_and_epoch_alone():
    sampler = EpochSampler(10, 4, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == first != second
    assert list(EpochSampler(10, 4, seed=2)) != first
    assert [len(b) for b in first] == [4, 4, 2]
    assert len(sampler) == 3


def test_a_rest_of_one_joins_the_batch_before():
    assert [len(b) for b in EpochSampler(9, 4, seed=1)] == [4, 5]
    assert len(EpochSampler(9, 4, seed=1)) == 2
    assert sorted(sum(EpochSampler(9, 4, seed=1), [])) == list(range(9))
    assert [len(b) for b in EpochSampler(3, 1, seed=1)] == [1, 1, 1]
    assert [len(b) for b in EpochSampler(1, 4, seed=1)] == [1]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_divide_every_batch(monkeypatch, world):
    whole = list(EpochSampler(19, 8, seed=1))
    parts = []
    for rank in range(world):
        monkeypatch.setattr(batches, "rank_and_world", lambda rank=rank: (rank, world))
        parts.append(list(EpochSampler(19, 8, seed=1)))
    assert {len(p) for p in parts} == {len(whole)}
    for i, batch in enumerate(whole):
        mine = [p[i] for p in parts]
        assert sorted(sum(mine, [])) == sorted(batch)
        assert max(map(len, mine)) - min(map(len, mine)) <= 1


def test_no_process_stays_away_from_a_short_batch(monkeypatch):
    monkeypatch.setattr(batches, "rank_and_world", lambda: (2, 3))
    assert [len(b) for b in EpochSampler(10, 8, seed=1)] == [2, 1]


def test_no_two_steps_or_seeds_draw_the_same_numbers_and_no_two_processes_of_a_network():
    seeds = [step_seed(seed, step) for seed in range(4) for step in range(5000)]
    ranks = [step_seed(1, step, rank) for rank in range(4) for step in range(5000)]
    assert len(set(seeds)) == len(set(ranks)) == 20_000
