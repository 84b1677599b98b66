"""Training small networks on the CPU in a plain loop, those of different seeds together. Nothing is monitored."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from spatialhist._runtime.files import whole_file
from spatialhist.tl._predictors.batches import EpochSampler, Schedule, step_seed
from spatialhist.tl._predictors.checkpoints import read_checkpoint, write_checkpoint
from spatialhist.tl._predictors.side_by_side import side_by_side

CHECKPOINT_SECONDS = 30.0
"""Between two checkpoints at the least: what a kill may cost. Written after each of the short epochs, they took a tenth of the
time."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Data(Protocol):
    """Spots that are handed out a whole batch at a time, as ``torch.utils.data`` reads them."""

    def __len__(self) -> int:
        """Number of spots."""

    def __getitems__(self, rows: list[int]) -> tuple[Any, torch.Tensor]:
        """Inputs and targets of some of them."""


def train_together(
    networks: Sequence[torch.nn.Module], loss: Loss, data: Data, schedule: Schedule, seeds: Sequence[int], scratch: Path
) -> list[torch.nn.Module]:
    """Train networks to the end of the schedule, each in the order of its own seed, and return them in evaluation mode.

    Where a checkpoint is found in ``scratch``, training resumes from it and ends with the same weights; one that cannot be
    read is set aside with a warning. The last one stays, so that a caller that is killed before it has kept the result
    trains nothing again: whoever keeps it removes ``scratch``. On a GPU, Lightning trains one network after the other.
    """
    if not _on_cpu(schedule.accelerator):
        return _train_by_lightning(networks, loss, data, schedule, seeds, scratch)
    training = _Training(networks, loss, data, schedule, seeds)
    training.run(scratch)
    return [network.eval() for network in networks]


def _on_cpu(accelerator: str) -> bool:
    if accelerator == "auto":
        return not (torch.cuda.is_available() or torch.backends.mps.is_available())
    return accelerator == "cpu"


def _train_by_lightning(
    networks: Sequence[torch.nn.Module], loss: Loss, data: Any, schedule: Schedule, seeds: Sequence[int], scratch: Path
) -> list[torch.nn.Module]:
    # Lightning takes seconds to import
    from spatialhist.tl._predictors.training import Regression, train

    modules = [Regression(network, loss, schedule, seed) for network, seed in zip(networks, seeds, strict=True)]
    return [train(module, data, scratch / str(i)) for i, module in enumerate(modules)]


class _Training:
    """Networks on their way: weights, optimizer, and the loss of every epoch so far."""

    def __init__(
        self, networks: Sequence[torch.nn.Module], loss: Loss, data: Data, schedule: Schedule, seeds: Sequence[int]
    ) -> None:
        self.networks, self.loss, self.data, self.epochs, self.seeds = networks, loss, data, schedule.epochs, seeds
        self.samplers = [EpochSampler(len(data), schedule.batch, seed) for seed in seeds]
        self.together = side_by_side(networks, schedule.batch)
        rate, steps = schedule.learning_rate, schedule.epochs * len(self.samplers[0])
        self.optimizer = torch.optim.AdamW(
            self.together.parameters(), lr=rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.cosine = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps, eta_min=rate / 1000)
        self.losses: list[list[float]] = []

    def run(self, scratch: Path) -> None:
        """Train on from the last checkpoint."""
        path = scratch / "last.ckpt"
        self._resume(read_checkpoint(path, scratch / "last.broken.ckpt"))
        self.together.train()
        written = time.monotonic()
        while len(self.losses) < self.epochs:
            self.losses.append(self._epoch(len(self.losses)))
            if len(self.losses) == self.epochs or time.monotonic() - written >= CHECKPOINT_SECONDS:
                write_checkpoint(path, self._state())
                self._write_logs(scratch)
                written = time.monotonic()
        self.together.hand_back()

    def _epoch(self, epoch: int) -> list[float]:
        """Take every spot once; returns the mean loss of each network."""
        for sampler in self.samplers:
            sampler.set_epoch(epoch)
        total, first = torch.zeros(len(self.seeds)), epoch * len(self.samplers[0])
        for step, rows in enumerate(zip(*self.samplers, strict=True), start=first):
            total += self._step(step, rows) * len(rows[0])
        return (total / len(self.data)).tolist()

    def _step(self, step: int, rows: Sequence[list[int]]) -> torch.Tensor:
        """Take one step with each network; returns their losses."""
        batches = [self.data.__getitems__(own) for own in rows]
        seeds = [step_seed(seed, step) for seed in self.seeds]
        outputs = self.together([inputs for inputs, _ in batches], seeds, len(rows[0]))
        losses = torch.stack([self.loss(own, targets) for own, (_, targets) in zip(outputs, batches, strict=True)])
        self.optimizer.zero_grad()
        losses.sum().backward()
        self.optimizer.step()
        self.cosine.step()
        return losses.detach()

    def _state(self) -> dict[str, Any]:
        parts = {"weights": self.together, "optimizer": self.optimizer, "cosine": self.cosine}
        return {name: part.state_dict() for name, part in parts.items()} | {"losses": self.losses}

    def _resume(self, checkpoint: dict[str, Any] | None) -> None:
        if checkpoint is None:
            return
        self.together.load_state_dict(checkpoint["weights"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.cosine.load_state_dict(checkpoint["cosine"])
        self.losses = checkpoint["losses"]

    def _write_logs(self, scratch: Path) -> None:
        """Write the loss of every epoch, a file a network, as Lightning's logger does."""
        for member, losses in enumerate(zip(*self.losses, strict=True)):
            folder = scratch / str(member) / "log"
            folder.mkdir(parents=True, exist_ok=True)
            steps = len(self.samplers[member])
            with whole_file(folder / "metrics.csv") as new, new.open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["epoch", "loss", "step"])
                rows.writerows([epoch, loss, (epoch + 1) * steps - 1] for epoch, loss in enumerate(losses))
