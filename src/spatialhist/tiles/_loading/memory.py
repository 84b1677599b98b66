from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist.nn import augment as default_augment
from spatialhist.tiles._loading.dataset import TileDataset

if TYPE_CHECKING:
    import torch

    Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


class MemoryTileDataset(TileDataset):
    """A `TileDataset` whose tiles are held in memory; made by `to_memory`.

    Attributes
    ----------
    tiles
        All tiles, ``(n, 3, pixels, pixels)`` uint8, for each size.
    """

    def __init__(self, ds: TileDataset) -> None:
        self.__dict__.update(vars(ds))
        self.tiles = [ds.read(np.arange(len(ds)), size) for size in range(len(ds.specs))]

    def read(self, index: np.ndarray, size: int = 0) -> np.ndarray:
        """Copy the tiles of some samples, ``(n, 3, pixels, pixels)`` uint8, in the order asked for.

        `size` is the position of their specification.
        """
        return self.tiles[size][index]

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = True,
        augment: Augment | None = default_augment,
        seed: int = 0,
        epoch: int = 0,
        device: str | torch.device = "cpu",
    ) -> Iterator[dict[str, Any]]:
        """Go through all samples once, a batch at a time, changed at random on the device.

        Tiles go to the device as they are and are changed there; subtiles are cut afterwards, so that they show what
        their tile shows, and tiles of several sizes are changed alike.

        Parameters
        ----------
        batch_size
            Samples in a batch.
        shuffle
            Whether in random order.
        augment
            Changes a batch of tiles, as :func:`spatialhist.nn.augment` does; None leaves them as they are.
        seed
            Seed of the order and of the changes.
        epoch
            Another order and other changes for each.
        device
            Where the batches are wanted.

        Yields
        ------
        dict[str, Any]
            Batches as ``ds[[i, j, ...]]`` gives them.

        Raises
        ------
        ValueError
            If `batch_size` is not positive.
        """
        import torch

        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        rng = np.random.default_rng([seed, epoch])
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        order = rng.permutation(len(self)) if shuffle else np.arange(len(self))
        for i in range(0, len(order), batch_size):
            index = order[i : i + batch_size]
            tiles = [torch.from_numpy(self.read(index, size)).to(device) for size in range(len(self.specs))]
            if augment is not None:
                tiles = _change_alike(augment, tiles, generator)
            facts = {k: v.to(device) if torch.is_tensor(v) else v for k, v in self._facts(index).items()}
            yield {**self._cut(tiles), **facts}


def _change_alike(augment: Augment, tiles: Sequence[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor]:
    # every size is turned and flipped alike, since they show one place
    state = generator.get_state()
    changed = []
    for some in tiles:
        generator.set_state(state)
        changed.append(augment(some, generator))
    return changed


def to_memory(ds: TileDataset, *, max_gb: float = 4.0) -> MemoryTileDataset:
    """Read all tiles of a dataset, each block of the store once.

    Worth it for several epochs over tiles that fit: 10,000 tiles of 78 pixels take 0.18 GB.

    Parameters
    ----------
    ds
        The dataset; it stays as it is.
    max_gb
        Refuse more than that many gigabytes.

    Returns
    -------
    MemoryTileDataset
        The same samples, served from memory.

    Raises
    ------
    MemoryError
        If the tiles take more than `max_gb`.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(("px", 60), 30))
    >>> memory = sh.tiles.to_memory(ds)
    >>> next(memory.batches(16, seed=1))["subtiles"].shape
    torch.Size([16, 9, 3, 10, 10])
    """
    size = sum(len(ds) * 3 * spec.pixels**2 for spec in ds.specs) / 1e9
    if size > max_gb:
        pixels = " and ".join(str(spec.pixels) for spec in ds.specs)
        raise MemoryError(
            f"{len(ds):,} tiles of {pixels} pixels take {size:.2g} GB, more than max_gb={max_gb:g}: raise it, or "
            f"read from the store with sh.tiles.loader(ds, batch_size)"
        )
    return MemoryTileDataset(ds)
