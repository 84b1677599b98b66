"""Build networks whose first weights are random."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def own_random_numbers() -> Iterator[None]:
    """Leave the caller's generator as it is, and draw the same weights every time: some stay, as of unused layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
