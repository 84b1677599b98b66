from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from spatialhist.nn import VisionMLPMultiTask
from spatialhist.tl._predictors.batches import Schedule
from spatialhist.tl._predictors.networks import ArrayData
from spatialhist.tl._predictors.training import Regression, train

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


@pytest.mark.parametrize(("n", "batch"), [(9, 8), (9, 4)])
def test_batch_normalization_trains_whatever_the_rest(tmp_path, n, batch):
    trained = module(replace(SCHEDULE, batch=batch))
    trained.network.insert(1, torch.nn.BatchNorm1d(8))
    assert all(torch.isfinite(p).all() for p in train(trained, data(n), tmp_path).parameters())


@pytest.mark.parametrize(("n", "batch"), [(3, 1), (1, 8)])
def test_batches_of_one_are_refused_by_batch_normalization(tmp_path, n, batch):
    trained = module(replace(SCHEDULE, batch=batch))
    trained.network.insert(1, torch.nn.BatchNorm1d(8))
    with pytest.raises(
        ValueError, match=f"a batch of one spot cannot be trained on .*: raise batch={batch} of the network"
    ):
        train(trained, data(n), tmp_path)


def test_training_learns_and_leaves_a_log_and_one_checkpoint(tmp_path):
    schedule = Schedule(epochs=15, batch=8, learning_rate=0.05, weight_decay=0.0, accelerator="cpu")
    network = train(module(schedule), data(), tmp_path)
    assert not network.training
    with (tmp_path / "log" / "metrics.csv").open() as file:
        loss = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(loss) == 15
    assert loss[-1] < loss[0] / 2
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_training_that_has_ended_is_not_done_again(tmp_path, ema):
    schedule = replace(SCHEDULE, ema=ema)
    expected = weights(train(module(schedule), data(), tmp_path))
    again = data()
    assert weights(train(module(schedule), again, tmp_path)) == expected
    assert again.batches == []


def test_half_a_checkpoint_never_has_the_name_of_one(tmp_path, monkeypatch):
    expected = weights(train(module(), data(), tmp_path / "whole"))
    save = torch.save

    def cut(value, path):
        if value["epoch"] == 1:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        save(value, path)

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(module(), data(), tmp_path / "parts")
    monkeypatch.undo()
    rest = data()
    assert weights(train(module(), rest, tmp_path / "parts")) == expected
    assert len(rest.batches) == 6


def add_noise(x, generator):
    return x + torch.randn(x.shape, generator=generator)


@pytest.mark.parametrize(("augment", "ema"), [(None, 0.0), (add_noise, 0.0), (add_noise, 0.9)])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, augment, ema):
    schedule = replace(SCHEDULE, ema=ema)
    expected = weights(train(module(schedule, augment), data(), tmp_path / "whole"))

    class Interrupted(Regression):
        def on_train_epoch_start(self):
            super().on_train_epoch_start()
            if self.current_epoch == 2:
                raise RuntimeError("killed")

    broken = module(schedule, augment)
    broken.__class__ = Interrupted
    with pytest.raises(RuntimeError, match="killed"):
        train(broken, data(), tmp_path / "parts")
    assert (tmp_path / "parts" / "checkpoints" / "last.ckpt").exists()
    rest = data()
    assert weights(train(module(schedule, augment), rest, tmp_path / "parts")) == expected
    assert len(rest.batches) == 3


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", None])
def test_a_checkpoint_that_cannot_be_read_is_set_aside(tmp_path, content):
    expected = weights(train(module(), data(), tmp_path / "whole"))
    last = tmp_path / "parts" / "checkpoints" / "last.ckpt"
    last.parent.mkdir(parents=True)
    if content is None:
        torch.save({"state_dict": {"weight": torch.zeros(1000)}}, last)
        content = last.read_bytes()[:2000]
    last.write_bytes(content)
    with pytest.warns(UserWarning, match=r"last\.ckpt cannot be read .* moved to last\.broken\.ckpt"):
        network = train(module(), data(), tmp_path / "parts")
    assert weights(network) == expected
    assert (tmp_path / "parts" / "last.broken.ckpt").read_bytes() == content


def test_the_running_mean_of_the_weights_is_kept(tmp_path):
    """Replayed by hand: the mean starts from the first step and moves a tenth of the way at every further one."""
    steps = []

    class Remembering(Regression):
        def on_train_batch_end(self, *args):
            steps.append({k: v.detach().clone() for k, v in self.network.state_dict().items()})

    recorded = module()
    recorded.__class__ = Remembering
    train(recorded, data(), tmp_path / "a")
    mean = steps[0]
    for step in steps[1:]:
        mean = {k: 0.9 * mean[k] + 0.1 * step[k] for k in mean}
    kept = train(module(replace(SCHEDULE, ema=0.9)), data(), tmp_path / "b").state_dict()
    for name, value in mean.items():
        torch.testing.assert_close(kept[name], value)


def test_statistics_of_batch_norm_are_not_averaged_again(tmp_path):
    """Averaged, they would remember the 1 that a variance starts with; here the variance is far smaller."""
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    small = ArrayData(1e-3 * data().inputs, data().targets)
    schedule = replace(SCHEDULE, epochs=30, ema=0.99)
    kept = train(Regression(network, torch.nn.functional.mse_loss, schedule, 5), small, tmp_path)
    assert kept[0].running_var.max() < 1e-3


def losses(folder):
    with (folder / "log" / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype(np.float32)
    many = ArrayData(x, torch.from_numpy(x @ np.ones((4, 2), np.float32)))
    networks = []
    for devices in (1, 2):
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.SiLU(), torch.nn.Linear(8, 2))
        schedule = replace(SCHEDULE, devices=devices, ema=0.9)
        trained = Regression(network, torch.nn.functional.mse_loss, schedule, 5)
        networks.append(train(trained, many, tmp_path / str(devices)).state_dict())
    np.testing.assert_allclose(losses(tmp_path / "1"), losses(tmp_path / "2"), rtol=1e-4)
    for name, value in networks[0].items():
        torch.testing.assert_close(networks[1][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_processes_train_the_vision_network_as_one_does(tmp_path):
    """Without dropout and batch statistics, which each process has of its own."""
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 255, (32, 3, 24, 24), dtype=np.uint8)
    many = ArrayData(tiles, torch.from_numpy(tiles.mean(axis=(2, 3)).astype(np.float32) / 255))
    curves = []
    for devices in (1, 2):
        torch.manual_seed(0)
        network = VisionMLPMultiTask(3, width=4, tile_dim=16, subtile_dim=16, norm="group", dropout=0.0)
        schedule = replace(SCHEDULE, learning_rate=1e-3, devices=devices)
        train(Regression(network, torch.nn.functional.mse_loss, schedule, 5), many, tmp_path / str(devices))
        curves.append(losses(tmp_path / str(devices)))
    assert curves[0][-1] < curves[0][0]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)


def test_learning_rate_falls_to_a_thousandth(tmp_path):
    trained = module()
    train(trained, data(), tmp_path)
    assert trained.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.05 / 1000)
