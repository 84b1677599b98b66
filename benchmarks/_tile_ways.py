"""Plain ways and other packages' ways of reading tiles, for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np
import spatialdata as sd
import zarr

from spatialhist._sdata.images import Pyramid
from spatialhist.tiles import PixelSource, TileReader
from spatialhist.tiles._reading.plan import make_plan, needed_blocks

TILE = 224
FEW = 40
"""Tiles that slow ways are timed on."""
Way = tuple[Callable[[], object], int]
"""What to time, and how many tiles it reads."""


def consume(reader: TileReader, centers: np.ndarray, extent: float = TILE, pixels: int = TILE) -> None:
    """Read all tiles and keep none, as an encoder would."""
    for _ in reader.iter(centers, extent, pixels, batch=64):
        pass


def decode_once(pyr: Pyramid, centers: np.ndarray) -> None:
    source = PixelSource(pyr)
    (height, width), array = source.block_shape(0), pyr.stored[0]
    for row, column in sorted(needed_blocks(make_plan(source, centers, TILE, TILE))):
        array[:, row * height : (row + 1) * height, column * width : (column + 1) * width]


def copying(array: zarr.Array, centers: np.ndarray) -> Callable[[], None]:
    """Slice tiles out of the level held in memory (its first gigabyte) into batches of 64."""
    pixels = array[:, : 2**30 // 3 // array.shape[2]]

    def copy() -> None:
        for i in range(0, len(centers), 64):
            some = centers[i : i + 64]
            out = np.empty((len(some), 3, TILE, TILE), np.uint8)
            for tile, (rows, columns) in zip(out, windows(pixels, some), strict=True):
                tile[:] = pixels[:, rows, columns]

    return copy


def windows(array, centers: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of tiles, moved inwards at the border."""
    corner = np.clip((centers - TILE / 2).astype(int), 0, np.array(array.shape[:0:-1]) - TILE)
    return ((slice(y, y + TILE), slice(x, x + TILE)) for x, y in corner.tolist())


def others(slide: sd.SpatialData, array: zarr.Array, centers: np.ndarray) -> dict[str, Way]:
    """Tiles one by one, in no order."""
    few = np.random.default_rng(1).choice(len(centers), FEW, replace=False)
    ways: dict[str, Way] = {
        "random zarr slice": (lambda: [array[:, s, t] for s, t in windows(array, centers[few])], FEW),
        "ImageTilesDataset": (image_tiles_dataset(slide, few), FEW),
    }
    if find_spec("wsidata"):
        ways["LazySlide"] = (lazyslide(slide, array, centers[few]), FEW)
    return ways


def image_tiles_dataset(slide: sd.SpatialData, few: np.ndarray) -> Callable[[], object]:
    from spatialdata.dataloader import ImageTilesDataset

    names = {"S1": "S1_full_image"}, {"S1": "S1"}
    ds = ImageTilesDataset(slide, *names, tile_dim_in_units=TILE, table_name=None)
    return lambda: [np.asarray(ds[int(i)].images["S1_full_image"]) for i in few]


def lazyslide(slide: sd.SpatialData, array: zarr.Array, centers: np.ndarray) -> Callable[[], object]:
    import geopandas as gpd
    import shapely
    from wsidata import open_wsi
    from wsidata.dataset import TileImagesDataset

    wsi = open_wsi(slide, image_key="S1_full_image")
    boxes = [shapely.box(x.start, y.start, x.stop, y.stop) for y, x in windows(array, centers)]
    wsi.shapes["tiles"] = sd.models.ShapesModel.parse(gpd.GeoDataFrame(geometry=boxes))
    ds = TileImagesDataset(wsi, image_size=TILE)
    return lambda: [ds[i]["image"] for i in range(len(ds))]
