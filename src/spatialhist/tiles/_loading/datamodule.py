from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lightning as L

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.spelling import same_name, warn_of_spellings
from spatialhist.tiles._loading.dataset import TileDataset
from spatialhist.tiles._loading.loader import loader

if TYPE_CHECKING:
    from spatialdata import SpatialData
    from torch.utils.data import DataLoader

    from spatialhist._sdata.slide import Slide
    from spatialhist.tiles._spec import TileSpec


class TileDataModule(L.LightningDataModule):
    """Tiles for Lightning, split by slide or patient: no group is in both parts.

    Only measured spots are used. Batches are those of `TileDataset`, shuffled for training by `ChunkSampler`.

    Parameters
    ----------
    sdata
        The cohort.
    spec
        Size of the tiles; a list for tiles of several sizes.
    layer
        Layer of the targets, ``"X"`` for the counts.
    held_out
        Slides or patients that are validated on.
    groups
        ``"slide"`` or ``"patient"``: what `held_out` names.
    batch_size
        Tiles in a batch.
    num_workers
        Processes that read; 0 reads in this one.
    seed
        Seed of the order of training.
    **options
        Further options of `TileDataset`.

    Raises
    ------
    ValueError
        If a group does not exist, or no group is left to train on.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=2)
    >>> spec = sh.tiles.TileSpec(("px", 60), 30)
    >>> data = sh.tiles.TileDataModule(sdata, spec, layer="X", held_out=["S2"])
    >>> next(iter(data.train_dataloader()))["tile"].shape
    torch.Size([64, 3, 30, 30])
    """

    def __init__(
        self,
        sdata: SpatialData,
        spec: TileSpec | Sequence[TileSpec],
        *,
        layer: str,
        held_out: Sequence[str],
        groups: str = "slide",
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        cohort = open_cohort(sdata, table_key=options.get("table_key", _keys.TABLE))
        if groups == "patient":
            warn_of_spellings(cohort.table, [groups], cohort.table_key)
        train, validate = _split(cohort.every_slide(), held_out, groups)
        options = {"layer": layer, "only_measured": True, **options}
        self.train = TileDataset(sdata, spec, slides=train, **options)
        self.validate = TileDataset(sdata, spec, slides=validate, **options)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    def train_dataloader(self) -> DataLoader:
        """Return the loader of the groups that are not held out, in another order each epoch."""
        return loader(self.train, self.batch_size, workers=self.num_workers, seed=self.seed)

    def val_dataloader(self) -> DataLoader:
        """Return the loader of the held-out groups, in the order of the table."""
        return loader(self.validate, self.batch_size, order="table", workers=self.num_workers)

    def predict_dataloader(self) -> DataLoader:
        """Return the loader of the held-out groups, in the order of the table: rows of predictions are its rows."""
        return self.val_dataloader()


def _split(slides: Sequence[Slide], held_out: Sequence[str], groups: str) -> tuple[list[str], list[str]]:
    """Slides to train on and to validate on."""
    check_choice("groups", groups, ("slide", "patient"))
    group = {s.name: s.name if groups == "slide" else s.patient for s in slides}
    if groups == "patient":
        called = {same_name(name): name for name in group.values() if name is not None}
        held_out = [called.get(same_name(name), name) for name in held_out]
    unknown = sorted(set(held_out) - set(group.values()))
    if unknown:
        raise ValueError(f"held_out={unknown} is no {groups}; there are {sorted(map(str, set(group.values())))}")
    if None in group.values():
        unknown = [name for name, patient in group.items() if patient is None]
        raise ValueError(f"slides {unknown} name no patient in obs['patient']: fill it in, or split by groups='slide'")
    validate = [name for name in group if group[name] in held_out]
    if len(validate) in (0, len(group)):
        raise ValueError(f"held_out={list(held_out)} must leave something to train on and something to validate on")
    return [name for name in group if name not in validate], validate
