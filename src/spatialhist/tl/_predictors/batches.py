"""How long a network trains, which spots it sees in which order, and from which random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Sampler

from spatialhist._runtime.processes import rank_and_world


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes
    ----------
    epochs, batch
        Fixed budget; the learning rate falls along a cosine to 1/1000 of its start.
    learning_rate, weight_decay
        Of AdamW.
    accelerator
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``; mixed precision is used on CUDA only.
    ema
        Decay, per step, of the running mean of the weights that is kept in place of the last weights; 0 keeps these.
    devices
        Processes that divide every batch among themselves, each with a device of its own (distributed data parallel).
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    accelerator: str = "auto"
    ema: float = 0.0
    devices: int = 1


class EpochSampler(Sampler[list[int]]):
    """Shuffled batches whose order depends on seed and epoch alone, so that a resumed run repeats it.

    Several processes take alternate samples of every batch, so their mean gradient is that of one process.
    """

    def __init__(self, n: int, batch: int, seed: int) -> None:
        self.n, self.batch, self.seed, self.epoch = n, batch, seed, 0

    @property
    def sampler(self) -> EpochSampler:
        """Where Lightning looks for the ``set_epoch`` of a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._sizes())

    def _sizes(self) -> list[int]:
        """Of every batch: a rest of one joins the batch before, since batch normalization cannot train on it."""
        whole, rest = divmod(self.n, self.batch)
        if whole and rest == 1:
            return [*[self.batch] * (whole - 1), self.batch + 1]
        return [self.batch] * whole + [rest] * (rest > 0)

    def __iter__(self) -> Iterator[list[int]]:
        # a generator looks at the epoch when the first batch is asked for: resuming, Lightning tells it only then
        # a prime above any number of epochs: no epoch of one seed has the order of an epoch of the next
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        order = torch.randperm(self.n, generator=generator)
        rank, world = rank_and_world()
        for part in order.split(self._sizes()):
            # a last batch of fewer samples than processes: every process has to take part in the common step
            mine = part[rank::world] if rank < len(part) else part[:1]
            yield mine.tolist()


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed of dropout and augmentation in one step, so that a resumed run repeats them."""
    # primes above the usual number of steps: seeds and processes do not draw the same numbers some steps apart
    return seed * 1_000_003 + step + rank * 500_009


def outputs_of(network: torch.nn.Module, inputs: Any, n: int, batch: int) -> torch.Tensor:
    """What a network makes of a batch of ``n`` spots.

    Raises
    ------
    ValueError
        If it cannot be trained on one spot alone.
    """
    try:
        return network(inputs)
    except ValueError as error:
        if n > 1:
            raise
        raise ValueError(
            f"a batch of one spot cannot be trained on ({error}): raise batch={batch} of the network, or train on more spots"
        ) from error


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch for a while; afterwards the caller's own generators go on where they were."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
