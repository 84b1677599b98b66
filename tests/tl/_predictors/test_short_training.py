"""Training without Lightning, which stays as the independent computation that it is compared with."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from spatialhist.tl._predictors import short_training
from spatialhist.tl._predictors.batches import Schedule
from spatialhist.tl._predictors.networks import ArrayData
from spatialhist.tl._predictors.short_training import train_together
from spatialhist.tl._predictors.training import Regression, train

SCHEDULE = Schedule(epochs=4, batch=8, learning_rate=0.05, weight_decay=0.1, accelerator="cpu")
LOSS = torch.nn.functional.mse_loss
SEEDS = [5, 9]
N = 21
BATCHES = 3  # of an epoch


class Counted(ArrayData):
    """Counts the batches that were asked for, and ends the process at one of them."""

    def __init__(self, inputs, targets, *, killed_at=None):
        super().__init__(inputs, targets)
        self.asked, self.killed_at = 0, killed_at

    def __getitems__(self, rows):
        if self.asked == self.killed_at:
            raise KeyboardInterrupt
        self.asked += 1
        return super().__getitems__(rows)


def data(**options):
    x = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
    return Counted(x, torch.from_numpy(x @ np.arange(8, dtype=np.float32).reshape(4, 2)), **options)


def networks():
    made = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        layers = (torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2))
        made.append(torch.nn.Sequential(*layers))
    return made


def weights(trained):
    return [{k: v.numpy().tobytes() for k, v in network.state_dict().items()} for network in trained]


def run(scratch, spots=None, schedule=SCHEDULE):
    return train_together(networks(), LOSS, spots or data(), schedule, SEEDS, scratch)


def log(folder):
    return (folder / "log" / "metrics.csv").read_bytes()


def test_weights_and_logs_are_those_of_lightning_to_the_bit(tmp_path):
    trained = run(tmp_path)
    for i, (network, seed) in enumerate(zip(networks(), SEEDS, strict=True)):
        expected = train(Regression(network, LOSS, SCHEDULE, seed), data(), tmp_path / f"lightning{i}")
        assert weights([trained[i]]) == weights([expected])
        assert log(tmp_path / str(i)) == log(tmp_path / f"lightning{i}")
    assert not any(network.training for network in trained)


def test_what_is_not_the_cpu_is_left_to_lightning(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    seen = []
    monkeypatch.setattr(short_training, "_train_by_lightning", lambda *args: seen.append(args))
    for accelerator in ("auto", "cuda", "mps"):
        run(tmp_path, schedule=replace(SCHEDULE, accelerator=accelerator))
    assert len(seen) == 3
    run(tmp_path)
    assert len(seen) == 3


def test_lightning_trains_the_same_networks(tmp_path):
    by_lightning = short_training._train_by_lightning(networks(), LOSS, data(), SCHEDULE, SEEDS, tmp_path / "a")
    assert weights(by_lightning) == weights(run(tmp_path / "b"))
    assert [log(tmp_path / "a" / name) for name in "01"] == [log(tmp_path / "b" / name) for name in "01"]


@pytest.mark.parametrize("killed_at", [0, 1, 2 * BATCHES * 2, 2 * BATCHES * 3 + 1])
def test_a_killed_training_ends_with_the_same_weights(tmp_path, monkeypatch, killed_at):
    expected = weights(run(tmp_path / "whole"))
    monkeypatch.setattr(short_training, "CHECKPOINT_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", data(killed_at=killed_at))
    rest = data()
    assert weights(run(tmp_path / "parts", rest)) == expected
    epochs_left = SCHEDULE.epochs - killed_at // (2 * BATCHES)
    assert rest.asked == epochs_left * 2 * BATCHES
    assert [log(tmp_path / "parts" / name) for name in "01"] == [log(tmp_path / "whole" / name) for name in "01"]


def test_checkpoints_are_written_by_time_and_at_the_end(tmp_path, monkeypatch):
    written = []
    write = short_training.write_checkpoint
    monkeypatch.setattr(
        short_training,
        "write_checkpoint",
        lambda path, state: written.append(len(state["losses"])) or write(path, state),
    )
    # the clock is looked at when training starts, after each epoch but the last, and after each checkpoint
    clock = iter([0.0, 29.0, 31.0, 31.0, 60.9, 0.0])
    monkeypatch.setattr(short_training.time, "monotonic", lambda: next(clock))
    run(tmp_path)
    assert written == [2, 4]
    assert [path.name for path in tmp_path.glob("*.*")] == ["last.ckpt"]


def test_a_training_that_has_ended_is_not_done_again(tmp_path):
    expected, again = weights(run(tmp_path)), data()
    assert weights(run(tmp_path, again)) == expected
    assert again.asked == 0


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all"])
def test_a_checkpoint_that_cannot_be_read_is_set_aside(tmp_path, content):
    expected = weights(run(tmp_path / "whole"))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "last.ckpt").write_bytes(content)
    with pytest.warns(UserWarning, match=r"last\.ckpt cannot be read .* moved to last\.broken\.ckpt"):
        trained = run(tmp_path / "parts")
    assert weights(trained) == expected
    assert (tmp_path / "parts" / "last.broken.ckpt").read_bytes() == content


def test_losses_fall_and_belong_to_their_network(tmp_path):
    run(tmp_path, schedule=replace(SCHEDULE, epochs=15))
    curves = []
    for name in "01":
        with (tmp_path / name / "log" / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [int(row["epoch"]) for row in rows] == list(range(15))
        assert [int(row["step"]) for row in rows] == list(range(2, 3 * 15, 3))
        curves.append([float(row["loss"]) for row in rows])
        assert curves[-1][-1] < curves[-1][0] / 2
    assert curves[0] != curves[1]


def test_batches_of_one_are_refused_by_batch_normalization(tmp_path):
    with pytest.raises(ValueError, match="a batch of one spot cannot be trained on .*: raise batch=1 of the network"):
        run(tmp_path, schedule=replace(SCHEDULE, batch=1))
