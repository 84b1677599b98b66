from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import DataLoader, IterableDataset

from spatialhist._runtime.checks import check_choice
from spatialhist._runtime.processes import rank_and_world
from spatialhist.tiles._loading.sampler import ChunkSampler

if TYPE_CHECKING:
    from spatialhist.tiles._loading.dataset import TileDataset

ORDERS = ("shuffled", "stored", "table")


def loader(
    ds: TileDataset, batch_size: int, *, order: str = "shuffled", workers: int = 0, seed: int = 0, **options: Any
) -> DataLoader:
    """Make a `DataLoader` of whole batches, in an order that decodes little.

    Parameters
    ----------
    ds
        The dataset.
    batch_size
        Samples in a batch.
    order
        ``"shuffled"`` for learning, another order each epoch (:class:`ChunkSampler`); ``"stored"`` as the pixels lie in
        the store, the fastest; ``"table"`` as the spots are listed.
    workers
        Processes that read, each a stretch of the order of its own. 0 reads in a thread of this one while the caller
        works on the batch before, which is as fast on few cores: no pixels move between processes.
    seed
        Seed of the shuffled order.
    **options
        Further options of `DataLoader`.

    Returns
    -------
    DataLoader
        A loader of the batches that ``ds[[i, j, ...]]`` gives. Under ``torch.distributed`` each process gets its own
        stretch of every epoch's order (have Lightning leave it alone: ``use_distributed_sampler=False``).

    Raises
    ------
    ValueError
        If the order is unknown, or `batch_size` is not positive.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(("px", 60), 30))
    >>> next(iter(sh.tiles.loader(ds, 16)))["tile"].shape
    torch.Size([16, 3, 30, 30])
    """
    check_choice("order", order, ORDERS)
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    # Workers that share a stretch would decode the same blocks each; the order of the table is a promise.
    runs = 1 if order == "table" else max(1, workers)
    batches = Batches(_order(ds, order, seed), batch_size, runs=runs)
    if not workers:
        return DataLoader(_Ahead(ds, batches), batch_size=None, **options)
    # new workers each epoch would begin with empty caches
    options = {"persistent_workers": True, **options}
    return DataLoader(ds, batch_size=None, sampler=batches, num_workers=workers, **options)


def _order(ds: TileDataset, order: str, seed: int) -> Sequence[int] | ChunkSampler:
    if order == "shuffled":
        return ChunkSampler(ds, seed=seed)
    return ds.stored_order().tolist() if order == "stored" else range(len(ds))


class Batches:
    """Batches of an order, dealt so that every `runs`-th batch follows on from the last.

    Processes that train together get a stretch of the order each, all of the same number of batches; a few are repeated
    where they do not divide.
    """

    def __init__(self, order: Sequence[int] | ChunkSampler, size: int, *, runs: int) -> None:
        self.order = order
        self.size = size
        self.runs = runs

    def __len__(self) -> int:
        _, world = rank_and_world()
        return -(-len(self.order) // (self.size * world))

    def __iter__(self) -> Iterator[list[int]]:
        order, (rank, _) = list(self.order), rank_and_world()
        every = [order[i : i + self.size] for i in range(0, len(order), self.size)]
        # from the start again where they run out: every rank must have as many batches, or the others wait for ever
        batches = list(islice(cycle(every), rank * len(self), (rank + 1) * len(self)))
        stretches = [[batches[i] for i in part] for part in np.array_split(range(len(batches)), self.runs)]
        return (batch for turn in zip_longest(*stretches) for batch in turn if batch is not None)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order that comes next; Lightning calls it at the start of an epoch if there are workers."""
        if isinstance(self.order, ChunkSampler):
            self.order.set_epoch(epoch)


class _Ahead(IterableDataset):
    """Batches, the next of which is read in a thread while the caller works on one."""

    def __init__(self, ds: TileDataset, batches: Batches) -> None:
        self.ds = ds
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        batches = iter(self.batches)
        following = next(batches, None)
        if following is None:
            return
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(self.ds.__getitem__, following)
            for batch in batches:
                ready = pending.result()
                pending = pool.submit(self.ds.__getitem__, batch)
                yield ready
            yield pending.result()
