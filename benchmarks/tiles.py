"""Time and memory of reading tiles, each beside a plain way of doing the same in the same run.

    python benchmarks/tiles.py            # her2st section C2 (92 megapixels), needs SPATIALHIST_DATA
    python benchmarks/tiles.py visium     # a 20,000^2 slide at a Visium pitch
    python benchmarks/tiles.py memory     # resident memory on a 40,000^2 slide (Linux)

Other programs on the machine disturb every figure; ratios less than times, since what is compared is run in turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import spatialdata as sd
import zarr
from torch.utils.data import BatchSampler, DataLoader

from spatialhist._sdata.build import build_slide
from spatialhist._sdata.images import Pyramid, pyramid
from spatialhist.tiles import PixelSource, TileDataset, TileReader, TileSpec
from spatialhist.tiles._plan import make_plan, needed_blocks

TILE = 224
REPEATS = 3
DATA = Path(os.environ.get("SPATIALHIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"her2st": her2st, "visium": visium, "memory": memory}
    parser.add_argument("part", nargs="?", default="her2st", choices=parts)
    parser.add_argument("--rss", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rss:
        return resident_memory(options.rss)
    with tempfile.TemporaryDirectory() as folder:
        parts[options.part](Path(folder))


def her2st(folder: Path) -> None:
    image, spots = section("C2")
    rng = np.random.default_rng(0)
    many = rng.uniform([0, 0], image.shape[:0:-1], (4000, 2))
    print(f"her2st C2, {image.shape[2]} x {image.shape[1]} pixels, tiles of {TILE}")
    for chunk in (512, 256):
        for name, centers in (("4000 centres", many), (f"its {len(spots)} spots", spots)):
            slide = stored(image, centers, folder / f"{chunk}_{len(centers)}.zarr", chunk)
            table(f"chunks of {chunk}, {name}", slide, centers)
    slide = stored(image, many, folder / "rates.zarr", 512)
    rates(slide, image, many)
    extents(slide, many)


def section(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(c, y, x)`` and spot centres of one real slide."""
    import pandas as pd
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    pixels = np.asarray(Image.open(DATA / "her2st" / "images" / f"{name}.jpg").convert("RGB"))
    spots = pd.read_csv(DATA / "her2st" / "spots" / f"{name}.csv")
    return np.moveaxis(pixels, -1, 0), spots[["pixel_x", "pixel_y"]].to_numpy(dtype=float)


def stored(image, centers: np.ndarray, path: Path, chunk: int) -> sd.SpatialData:
    """Return a slide whose image lies in a store with square chunks."""
    pixels = da.asarray(image).rechunk((3, chunk, chunk))
    slide = build_slide(None, centers, np.ones((len(centers), 1)), slide="S1", genes=["g"], mpp=0.5, pitch_px=200)
    slide.images["S1_full_image"] = sd.models.Image2DModel.parse(
        pixels, dims=("c", "y", "x"), scale_factors=[2, 2, 2], chunks=(3, chunk, chunk),
        transformations={"S1": sd.transformations.Identity()},
    )  # fmt: skip
    slide.write(path)
    return sd.read_zarr(path)


def table(title: str, slide: sd.SpatialData, centers: np.ndarray) -> None:
    """Time per tile of ours, of its floor and of the plain ways."""
    pyr = pyramid(slide, "S1_full_image")
    array = pyr.stored[0]
    few = np.random.default_rng(1).choice(len(centers), 40, replace=False)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "ours, warm": (lambda: consume(TileReader(pyr), centers), len(centers)),
        "decode once": (lambda: decode_once(pyr, centers), len(centers)),
        "copy": (copying(array, centers), len(centers)),
        "random zarr slice": (lambda: [array[:, s, t] for s, t in windows(array, centers[few])], len(few)),
        "ImageTilesDataset": (plain_dataset(slide, few), len(few)),
    }
    ms = times_in_turns(ways)
    forget_pages(slide.path)
    start = time.perf_counter()
    consume(TileReader(pyr), centers)
    ms["ours, cold"] = (time.perf_counter() - start) / len(centers) * 1e3
    floor = ms["decode once"] + ms["copy"]
    print(f"\n{title}: {ms['ours, warm']:.3f} ms a tile, {ms['ours, warm'] / floor:.2f} of decoding once and copying")
    for name, value in ms.items():
        print(f"  {name:<20} {value:8.3f} ms   {value / ms['ours, warm']:8.2f} x ours")


def times_in_turns(ways: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Median milliseconds a tile of each way, all ways taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, (way, tiles) in ways.items():
            start = time.perf_counter()
            way()
            taken[name].append((time.perf_counter() - start) / tiles * 1e3)
    return {name: float(np.median(values)) for name, values in taken.items()}


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


def plain_dataset(slide: sd.SpatialData, few: np.ndarray) -> Callable[[], None]:
    from spatialdata.dataloader import ImageTilesDataset

    names = {"S1": "S1_full_image"}, {"S1": "S1"}
    ds = ImageTilesDataset(slide, *names, tile_dim_in_units=TILE, table_name=None)
    return lambda: [np.asarray(ds[int(i)].images["S1_full_image"]) for i in few]


def forget_pages(path: Path) -> None:
    """Drop a store's files from the page cache."""
    for file in path.rglob("*"):
        if file.is_file() and hasattr(os, "posix_fadvise"):
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def rates(slide: sd.SpatialData, image: np.ndarray, centers: np.ndarray) -> None:
    """Tiles a second in the order of the store, in this process and with two workers."""
    pyr = pyramid(slide, "S1_full_image")
    ds = TileDataset(slide, TileSpec(("px", TILE), TILE, grid=1))
    order = TileReader(pyr).order(centers, TILE, TILE).tolist()
    batches = BatchSampler(order, 64, drop_last=False)
    loaders = {n: DataLoader(ds, batch_size=None, sampler=batches, num_workers=n) for n in (0, 2)}
    ways = {
        "reader": (lambda: consume(TileReader(pyr), centers), len(centers)),
        "in memory": (copying(pyr.stored[0], centers), len(centers)),
        "loader": (lambda: deque(loaders[0], maxlen=0), len(centers)),
        "loader, 2 workers": (lambda: deque(loaders[2], maxlen=0), len(centers)),
    }
    ms = times_in_turns(ways)
    print("\ntiles a second in the order of the store")
    for name, value in ms.items():
        print(f"  {name:<20} {1e3 / value:8.0f}     {ms['in memory'] / value:8.2f} of slicing in memory")


def extents(slide: sd.SpatialData, centers: np.ndarray) -> None:
    """Tiles of 96 pixels at the four extents of the default encoder."""
    pyr = pyramid(slide, "S1_full_image")
    print("\nresampled to 96 pixels, slide at 0.69 um a pixel")
    for um in (75, 150, 300, 600):
        ms = times_in_turns({"": (lambda um=um: consume(TileReader(pyr), centers, um / 0.69, 96), len(centers))})[""]
        print(f"  {um:>4} um   level {pyr.level_for(um / 0.69 / 96)}   {1e3 / ms:8.0f} tiles a second")


def synthetic_store(path: Path, side: int) -> None:
    """Write a slide chunk by chunk: pieces of a noisy picture, one level."""
    rng = np.random.default_rng(0)
    low = rng.uniform(100, 250, (3, 64, 64)).repeat(24, axis=1).repeat(24, axis=2)
    noise = np.clip(low + rng.normal(0, 12, low.shape), 0, 255).astype(np.uint8)
    array = zarr.create_array(path, shape=(3, side, side), chunks=(3, 512, 512), dtype="uint8")
    for y in range(0, side, 512):
        for x in range(0, side, 512):
            dy, dx = rng.integers(0, noise.shape[1] - 512, 2)
            piece = noise[:, dy : dy + 512, dx : dx + 512]
            array[:, y : y + 512, x : x + 512] = piece[:, : side - y, : side - x]


def one_level(path: Path) -> Pyramid:
    array = zarr.open_array(path, mode="r")
    return Pyramid("S1_full_image", (da.from_zarr(array),), ((1.0, 1.0),), (array,))


def visium(folder: Path) -> None:
    """A 20,000^2 slide with about 5,000 spots 100 um apart on 6.5 mm."""
    synthetic_store(folder / "visium.zarr", 20_000)
    pitch, rows = 20_000 / 70, 80
    y, x = np.meshgrid(np.arange(rows) * pitch * 0.866, np.arange(64) * pitch, indexing="ij")
    centers = np.stack([x + pitch / 2 * (np.arange(rows) % 2)[:, None] + 900, y + 90], axis=-1).reshape(-1, 2)
    slide = stored(da.from_zarr(folder / "visium.zarr"), centers, folder / "visium_slide.zarr", 512)
    table(f"synthetic 20,000^2, {len(centers)} spots at a Visium pitch", slide, centers)


def memory(folder: Path) -> None:
    """Resident memory of a fresh process that reads a large slide, above what the imports take."""
    synthetic_store(folder / "large.zarr", 40_000)
    subprocess.run([sys.executable, "-W", "ignore", __file__, "--rss", folder / "large.zarr"], check=True)


def resident_memory(path: Path) -> None:
    centers = np.random.default_rng(0).uniform(0, 40_000, (30_000, 2))
    before = peak_kib()
    start = time.perf_counter()
    consume(TileReader(one_level(path)), centers)
    seconds = time.perf_counter() - start
    peak = (peak_kib() - before) / 2**20
    print(f"\n40,000^2 slide, 30,000 tiles: {peak:.2f} GiB above the imports, {30_000 / seconds:.0f} tiles a second")


def peak_kib() -> int:
    """Return the largest resident size of this process so far; `ru_maxrss` would count that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
