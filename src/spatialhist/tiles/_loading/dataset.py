from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import get_layer
from spatialhist.nn import split_tiles
from spatialhist.tiles._reading.blocks import BlockCache
from spatialhist.tiles._reading.plan import make_plan
from spatialhist.tiles._reading.reader import TileReader
from spatialhist.tiles._reading.view import TileView
from spatialhist.tiles._spec import TileSpec, as_specs

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

TILE_KEYS = ("tile", "subtiles", "center")


class TileDataset(Dataset):
    """One sample a spot: its tile, and what was measured there.

    A sample is a dict of

    - ``"tile"``: uint8 ``(3, pixels, pixels)``,
    - ``"subtiles"``: the tile cut in ``grid * grid`` parts, ``(grid * grid, 3, pixels // grid, pixels // grid)``,
    - ``"center"``: the subtile in the middle,
    - ``"target"``: float32 ``(genes,)``, if a layer was chosen,
    - ``"spot"``, ``"region"``: ids of the spot and of its slide,
    - ``"xy"``: float32 ``(2,)``, the spot's center in full-resolution pixels of the image.

    With a list of sizes, ``"tile"``, ``"subtiles"`` and ``"center"`` are lists too: tiles of each size around the same
    center, in the order of `spec`.

    ``ds[i]`` is a sample, ``ds[[i, j, k]]`` a batch: the same dict with one more dimension in front, and lists of ids. A
    batch is read at once, each block of the store decoded once. :func:`loader` makes a `DataLoader` of such batches.

    Workers hold neither SpatialData nor, for images in a store, dask; the store is opened again in each of them.

    Parameters
    ----------
    sdata
        The cohort.
    spec
        Size of the tiles; a list for tiles of several sizes.
    image
        None or ``"full"`` for the H&E image, ``"normalized"``, ``"masked"``, or a key in which ``{slide}`` stands for
        the slide id.
    layer
        Layer of the targets, ``"X"`` for the counts; None for tiles alone.
    genes
        Targets, all genes if None.
    slides
        Slides, all if None.
    table_key
        The table.
    only_measured
        Leave out spots that carry no measurements.
    cache_mb
        Decoded pixels that are kept between batches, in megabytes, for all slides together.

    Attributes
    ----------
    rows
        Row of each sample in the table.
    spec
        What was given.
    specs
        Sizes of the tiles, also where there is only one.
    genes
        Names of the targets, None without a layer.

    Raises
    ------
    KeyError
        If a slide, image, layer or gene is missing; the message lists what there is.
    ValueError
        If a spot has no position, or `spec` is an empty list.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> ds = sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(("px", 60), 30), layer="X")
    >>> ds[0]["subtiles"].shape
    torch.Size([9, 3, 10, 10])
    >>> ds[[0, 4]]["tile"].shape
    torch.Size([2, 3, 30, 30])

    Tiles of two sizes around the same center:

    >>> ds = sh.tiles.TileDataset(sdata, [sh.tiles.TileSpec(("px", extent), 30) for extent in (60, 240)])
    >>> [tile.shape for tile in ds[0]["tile"]]
    [torch.Size([3, 30, 30]), torch.Size([3, 30, 30])]
    """

    def __init__(
        self,
        sdata: SpatialData,
        spec: TileSpec | Sequence[TileSpec],
        *,
        image: str | None = None,
        layer: str | None = None,
        genes: Sequence[str] | None = None,
        slides: str | Sequence[str] | None = None,
        table_key: str = _keys.TABLE,
        only_measured: bool = False,
        cache_mb: float = 256,
    ) -> None:
        cohort = open_cohort(sdata, slides, table_key=table_key)
        self.spec = spec
        self.specs = as_specs(spec)
        keep = np.isin(cohort.slide_of_row(), cohort.slides)
        self.rows = np.flatnonzero(keep & cohort.measured() if only_measured else keep)
        self.genes = None if layer is None else list(cohort.table.var_names if genes is None else genes)
        self._target = (
            None if layer is None or self.genes is None else _targets(cohort.table, layer, self.genes)[self.rows]
        )
        self._spot = cohort.spot_ids().to_numpy()[self.rows]
        self._region = cohort.slide_of_row()[self.rows]
        xy = np.full((cohort.table.n_obs, 2), np.nan)
        for slide in cohort.every_slide():
            xy[slide.rows] = slide.centers(image)
        self.xy = xy[self.rows]
        lost = ~np.isfinite(self.xy).all(axis=1)
        if lost.any():
            raise ValueError(
                f"{lost.sum()} spots have no position: drop them with sh.pp.filter_spots(sdata, min_counts=0, "
                f"min_tissue=0, table_key={table_key!r})"
            )
        self._open(cohort.every_slide(), image, cache_mb)

    def _open(self, slides: Sequence[Slide], image: str | None, cache_mb: float) -> None:
        # one for all slides, so that memory does not grow with their number
        cache = BlockCache(cache_mb * 1e6)
        self._readers, self._extent_px = {}, {}
        for slide in slides:
            views = TileView.of(slide, self.specs, image)
            self._extent_px[slide.name] = [view.extent_px for view in views]
            self._readers[slide.name] = TileReader(views[0].source, cache=cache)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int | Sequence[int]) -> dict[str, Any]:
        index = np.arange(len(self))[np.asarray(item, dtype=np.int64)]
        if index.ndim:
            return self._batch(index)
        return self.__getitems__([int(index)])[0]

    def __getitems__(self, items: Sequence[int]) -> list[dict[str, Any]]:
        batch = self[items]
        return [{key: self._pick(key, values, i) for key, values in batch.items()} for i in range(len(items))]

    def _pick(self, key: str, values: Any, i: int) -> Any:
        several = key in TILE_KEYS and not isinstance(self.spec, TileSpec)
        return [part[i] for part in values] if several else values[i]

    def _batch(self, index: np.ndarray) -> dict[str, Any]:
        return {
            **self._cut([torch.from_numpy(self.read(index, i)) for i in range(len(self.specs))]),
            **self._facts(index),
        }

    def _cut(self, tiles: Sequence[torch.Tensor]) -> dict[str, Any]:
        """Return the part of a batch that comes from its tiles, given for each size."""
        subtiles = [split_tiles(t, spec.grid) for t, spec in zip(tiles, self.specs, strict=True)]
        center = [s[:, spec.grid**2 // 2] for s, spec in zip(subtiles, self.specs, strict=True)]
        parts = dict(zip(TILE_KEYS, (list(tiles), subtiles, center), strict=True))
        return {key: values[0] for key, values in parts.items()} if isinstance(self.spec, TileSpec) else parts

    def _facts(self, index: np.ndarray) -> dict[str, Any]:
        """Return the part of a batch that needs no pixels."""
        batch = {
            "spot": self._spot[index].tolist(),
            "region": self._region[index].tolist(),
            "xy": torch.from_numpy(self.xy[index].astype(np.float32)),
        }
        if self._target is not None:
            batch["target"] = torch.from_numpy(_dense(self._target[index]))
        return batch

    def read(self, index: np.ndarray, size: int = 0) -> np.ndarray:
        """Read the tiles of some samples, ``(n, 3, pixels, pixels)`` uint8, in the order asked for.

        `size` is the position of their specification.
        """
        spec = self.specs[size]
        tiles = np.empty((len(index), 3, spec.pixels, spec.pixels), dtype=np.uint8)
        region = self._region[index]
        for slide in np.unique(region):
            here = np.flatnonzero(region == slide)
            xy, out = self.xy[index[here]], [tiles[i] for i in here]
            extent_px = self._extent_px[slide][size]
            self._readers[slide].read_into(out, xy, extent_px, spec.pixels, padding=spec.padding)
        return tiles

    def blocks(self) -> np.ndarray:
        """Return where each sample is read: slide, row and column of a block of the store, ``(n, 3)``.

        Of several sizes the one with the smallest pixels counts, which needs the most blocks.
        """
        found = np.empty((len(self), 3), dtype=np.int64)
        for number, (slide, reader) in enumerate(self._readers.items()):
            here = np.flatnonzero(self._region == slide)
            extent_px, spec = self._finest(slide)
            plan = make_plan(reader.source, self.xy[here], extent_px, spec.pixels, spec.padding)
            found[here, 0], found[here, 1:] = number, plan.start // plan.block_shape
        return found

    def max_blocks(self) -> int:
        """Return how many blocks the cache holds."""
        return min(reader.max_blocks(reader.source.block_shape(0)) for reader in self._readers.values())

    def stored_order(self) -> np.ndarray:
        """Return the order of samples in which slides are read with the least decoding."""
        parts = []
        for slide, reader in self._readers.items():
            here = np.flatnonzero(self._region == slide)
            extent_px, spec = self._finest(slide)
            parts.append(here[reader.order(self.xy[here], extent_px, spec.pixels, padding=spec.padding)])
        return np.concatenate(parts)

    def _finest(self, slide: str) -> tuple[float, TileSpec]:
        return min(zip(self._extent_px[slide], self.specs, strict=True), key=lambda size: size[0] / size[1].pixels)


def _targets(table: AnnData, layer: str, genes: Sequence[str]) -> Any:
    column = table.var_names.get_indexer(list(genes))
    if (column < 0).any():
        unknown = [gene for gene, c in zip(genes, column, strict=True) if c < 0]
        raise KeyError(f"{len(unknown)} genes are not in the table, e.g. {unknown[:3]}")
    values = get_layer(table, layer)
    return values if np.array_equal(column, np.arange(values.shape[1])) else values[:, column]


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.todense() if hasattr(values, "todense") else values, dtype=np.float32)
