from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from spatialhist.tl._predictors._networks import ArrayData
from spatialhist.tl._predictors._training import EpochSampler, Regression, Schedule, train

SCHEDULE = Schedule(epochs=3, batch=8, learning_rate=0.05, weight_decay=0.0, accelerator="cpu")


class Seen(ArrayData):
    """Remembers the rows of every batch."""

    def __init__(self, inputs, targets):
        super().__init__(inputs, targets)
        self.batches = []

    def __getitems__(self, rows):
        self.batches.append(list(rows))
        return super().__getitems__(rows)


def data(n=19):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return Seen(x, torch.from_numpy(x @ np.ones((4, 2), np.float32)))


def module(schedule=SCHEDULE, augment=None):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2))
    return Regression(network, torch.nn.functional.mse_loss, schedule, 5, augment)


def weights(network):
    return {k: v.numpy().tobytes() for k, v in network.state_dict().items()}


def test_every_epoch_sees_every_spot_once_in_another_order(tmp_path):
    seen = data()
    train(module(), seen, tmp_path)
    epochs = [sum(seen.batches[i : i + 3], []) for i in (0, 3, 6)]
    assert len(seen.batches) == 9
    assert all(sorted(e) == list(range(19)) for e in epochs)
    assert len({tuple(e) for e in epochs}) == 3


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


def test_training_learns_and_leaves_a_log_but_no_checkpoint(tmp_path):
    schedule = Schedule(epochs=15, batch=8, learning_rate=0.05, weight_decay=0.0, accelerator="cpu")
    network = train(module(schedule), data(), tmp_path)
    assert not network.training
    with (tmp_path / "log" / "metrics.csv").open() as file:
        loss = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(loss) == 15
    assert loss[-1] < loss[0] / 2
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("augment", [None, lambda x, generator: x + torch.randn(x.shape, generator=generator)])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, augment):
    expected = weights(train(module(augment=augment), data(), tmp_path / "whole"))

    class Interrupted(Regression):
        def on_train_epoch_start(self):
            super().on_train_epoch_start()
            if self.current_epoch == 2:
                raise RuntimeError("killed")

    broken = module(augment=augment)
    broken.__class__ = Interrupted
    with pytest.raises(RuntimeError, match="killed"):
        train(broken, data(), tmp_path / "parts")
    assert (tmp_path / "parts" / "checkpoints" / "last.ckpt").exists()
    rest = data()
    assert weights(train(module(augment=augment), rest, tmp_path / "parts")) == expected
    assert len(rest.batches) == 3


def test_learning_rate_falls_to_a_thousandth(tmp_path):
    trained = module()
    train(trained, data(), tmp_path)
    assert trained.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.05 / 1000)
