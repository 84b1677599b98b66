from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spatialhist.tiles._dataset import TileDataset

SPAN = 4
"""Blocks along each side of the areas that are shuffled: tiles at their seams are read twice."""


class ChunkSampler:
    """Shuffled for learning, local for reading: the order in which a `DataLoader` takes the samples of a dataset.

    Areas of ``4 * 4`` blocks of the store are put in random order, then samples are shuffled within windows. A window
    holds few areas, so their blocks stay in the dataset's cache. Every epoch has another order, each a permutation.

    Parameters
    ----------
    ds
        The dataset.
    window
        Samples that are shuffled among each other. The larger it is, the more random the order, and the larger
        `cache_mb` of the dataset must be.
    seed
        Seed of the order. The same seed and epoch give the same order.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(("px", 60), 30))
    >>> sorted(sh.tiles.ChunkSampler(ds, seed=1)) == list(range(len(ds)))
    True
    """

    def __init__(self, ds: TileDataset, *, window: int = 1024, seed: int = 0) -> None:
        if window < 1:
            raise ValueError(f"window={window} must be at least 1")
        self.window = window
        self.seed = seed
        self.epoch = 0
        _, self._area = np.unique(ds.blocks() // (1, SPAN, SPAN), axis=0, return_inverse=True)

    def __len__(self) -> int:
        return len(self._area)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        place = rng.permutation(self._area.max(initial=0) + 1)
        order = np.argsort(place[self._area], kind="stable")
        for i in range(0, len(order), self.window):
            rng.shuffle(order[i : i + self.window])
        return iter(order.tolist())

    def set_epoch(self, epoch: int) -> None:
        """Choose the order that comes next; Lightning calls it at the start of an epoch."""
        self.epoch = epoch
