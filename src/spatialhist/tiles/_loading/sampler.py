from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spatialhist.tiles._loading.dataset import TileDataset

SPAN = 4
"""Blocks along each side of the areas that are shuffled: tiles at their seams are read twice."""


class ChunkSampler:
    """Shuffled for learning, local for reading: the order in which a `DataLoader` takes the samples of a dataset.

    Areas of ``4 * 4`` blocks of the store are put in random order, then samples are shuffled within windows of as many
    areas as the dataset's cache holds. Every epoch has another order, each a permutation.

    Parameters
    ----------
    ds
        The dataset.
    window
        Samples that are shuffled among each other, whatever fits the cache if None. The larger it is, the more random
        the order, and the larger `cache_mb` of the dataset must be.
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

    def __init__(self, ds: TileDataset, *, window: int | None = None, seed: int = 0) -> None:
        if window is not None and window < 1:
            raise ValueError(f"window={window} must be at least 1")
        self.window = window
        self.seed = seed
        self.epoch = 0
        _, self._area = np.unique(ds.blocks() // (1, SPAN, SPAN), axis=0, return_inverse=True)
        # Tiles that reach over the seams need blocks of the areas around as well.
        self._areas_at_once = max(1, ds.max_blocks() // (SPAN + 1) ** 2)

    def __len__(self) -> int:
        return len(self._area)

    def __iter__(self) -> Iterator[int]:
        # both apart: by their sum, epoch 1 of seed 0 would be epoch 0 of seed 1
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        place = rng.permutation(self._area.max(initial=0) + 1)
        order = np.argsort(place[self._area], kind="stable")
        for samples in np.split(order, self._borders(place[self._area[order]])):
            rng.shuffle(samples)
        return iter(order.tolist())

    def _borders(self, place: np.ndarray) -> np.ndarray:
        """Where windows end, given the place of each sample's area in the order of areas."""
        window = np.arange(len(place)) // self.window if self.window else place // self._areas_at_once
        return np.flatnonzero(np.diff(window)) + 1

    def set_epoch(self, epoch: int) -> None:
        """Choose the order that comes next; Lightning calls it at the start of an epoch."""
        self.epoch = epoch
