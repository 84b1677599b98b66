"""Time and memory of reading tiles, each beside plain ways of doing the same in the same run.

    python benchmarks/tiles.py            # her2st section C2 (92 megapixels), needs SPATIALHIST_DATA
    python benchmarks/tiles.py visium     # a 20,000^2 slide with the spot spacing of Visium
    python benchmarks/tiles.py rates      # tiles a second of section C2, in this process and with two workers
    python benchmarks/tiles.py epoch      # share of loading in an epoch of the network from scratch
    python benchmarks/tiles.py memory     # resident memory on a 40,000^2 slide (Linux)

LazySlide is timed too where it is installed. Other programs on the machine disturb every figure; ratios less than
times, since what is compared takes turns, and processor time less than wall time.
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
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import spatialdata as sd
import torch
from _tile_slides import anywhere, forget_pages, one_level, section, stored, synthetic_store, visium_slide
from _tile_ways import TILE, Way, consume, copying, decode_once, others

from spatialhist._sdata.images import pyramid
from spatialhist.nn import VisionMLPMultiTask
from spatialhist.tiles import TileDataset, TileReader, TileSpec, loader, to_memory

REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"her2st": her2st, "visium": visium, "rates": rates, "epoch": epoch, "memory": memory}
    parser.add_argument("part", nargs="?", default="her2st", choices=parts)
    parser.add_argument("--rss", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rss:
        return resident_memory(options.rss)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    with tempfile.TemporaryDirectory() as folder:
        parts[options.part](Path(folder))


def her2st(folder: Path) -> None:
    image, spots = section("C2")
    print(f"her2st C2, {image.shape[2]} x {image.shape[1]} pixels, tiles of {TILE}")
    for chunk in (512, 256):
        for name, centers in (("4000 centers", anywhere(image, 4000)), (f"its {len(spots)} spots", spots)):
            slide = stored(image, centers, folder / f"{chunk}_{len(centers)}.zarr", chunk)
            table(f"chunks of {chunk}, {name}", slide, centers)


def visium(folder: Path) -> None:
    slide, centers = visium_slide(folder)
    table(f"simulated 20,000^2, {len(centers)} spots with the spot spacing of Visium", slide, centers)


def table(title: str, slide: sd.SpatialData, centers: np.ndarray) -> None:
    """Time per tile of ours, of its floor and of the other ways."""
    pyr = pyramid(slide, "S1_full_image")
    array = pyr.stored[0]
    ways: dict[str, Way] = {
        "ours, warm": (lambda: consume(TileReader(pyr), centers), len(centers)),
        "decode once": (lambda: decode_once(pyr, centers), len(centers)),
        "copy": (copying(array, centers), len(centers)),
        **others(slide, array, centers),
    }
    ms, cpu = times_in_turns(ways)
    forget_pages(slide.path)
    start = time.perf_counter()
    consume(TileReader(pyr), centers)
    ms["ours, cold"] = (time.perf_counter() - start) / len(centers) * 1e3
    shares = [t["ours, warm"] / (t["decode once"] + t["copy"]) for t in (ms, cpu)]
    print(f"\n{title}: {shares[0]:.2f} of decoding once and copying, {shares[1]:.2f} in processor time")
    for name, value in ms.items():
        print(f"  {name:<20} {value:8.3f} ms   {value / ms['ours, warm']:8.2f} x ours   cpu {cpu.get(name, 0):8.3f} ms")


def times_in_turns(ways: dict[str, Way]) -> tuple[dict[str, float], dict[str, float]]:
    """Median milliseconds a tile of each way, wall and processor time, all ways taking turns."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, (way, tiles) in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            passed = time.perf_counter() - wall, time.process_time() - cpu
            taken[name].append((passed[0] / tiles * 1e3, passed[1] / tiles * 1e3))
    medians = {name: np.median(values, axis=0) for name, values in taken.items()}
    return {name: wall for name, (wall, _) in medians.items()}, {name: cpu for name, (_, cpu) in medians.items()}


def rates(folder: Path) -> None:
    """Tiles a second of one slide, none of whose pixels are kept from one pass to the next."""
    image, _ = section("C2")
    centers = anywhere(image, 4000)
    slide = stored(image, centers, folder / "slide.zarr", 512)
    pyr, spec = pyramid(slide, "S1_full_image"), TileSpec(("px", TILE), TILE, grid=1)

    def batches(order: str, workers: int) -> Way:
        batches = loader(TileDataset(slide, spec, cache_mb=128), 64, order=order, workers=workers)
        deque(batches, maxlen=0)  # starts the workers
        return lambda: deque(batches, maxlen=0), len(centers)

    ways = {
        "in memory": (copying(pyr.stored[0], centers), len(centers)),
        "reader": (lambda: consume(TileReader(pyr), centers), len(centers)),
        "loader, stored": batches("stored", 0),
        "loader, shuffled": batches("shuffled", 0),
        "stored, 2 workers": batches("stored", 2),
        "shuffled, 2 workers": batches("shuffled", 2),
        **{
            f"{um} um to 96 px": (lambda um=um: consume(TileReader(pyr), centers, um / 0.69, 96), len(centers))
            for um in (75, 150, 300, 600)
        },
    }
    ms, cpu = times_in_turns(ways)
    print("\ntiles a second; if its processor time were spread over two cores; share of slicing in memory")
    for name in ways:
        two_cores = "" if "workers" in name else f"{2e3 / cpu[name]:8.0f}"
        print(f"  {name:<20} {1e3 / ms[name]:8.0f} {two_cores:>8} {ms['in memory'] / ms[name]:8.2f}")


def epoch(folder: Path) -> None:
    """Share of the time that the network from scratch waits for tiles of 78 pixels, from the store and from memory."""
    image, _ = section("C2")
    centers = anywhere(image, 256)
    slide = stored(image, centers, folder / "slide.zarr", 512)
    ds = TileDataset(slide, TileSpec(("um", 150), 78), layer="X")
    memory = to_memory(ds)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = VisionMLPMultiTask(35).to(device)
    train(network, memory.batches(64), device)
    print(f"\nan epoch of 256 tiles on {device}: share of waiting for tiles")
    for name, batches in (
        ("store", lambda e: loader(ds, 64)), ("memory, augmented", lambda e: memory.batches(64, epoch=e, device=device)),
    ):  # fmt: skip
        taken = [train(network, batches(e), device) for e in range(3)]
        waited, total = np.median(taken, axis=0)
        print(f"  {name:<20} {waited:6.2f} of {total:6.2f} s   {100 * waited / total:.1f} %")


def train(network: torch.nn.Module, batches: Iterable, device: str) -> tuple[float, float]:
    """Return the seconds that one epoch waited for tiles, and all it took."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    waited, start = 0.0, time.perf_counter()
    batches, asked = iter(batches), time.perf_counter()
    for batch in batches:
        waited += time.perf_counter() - asked
        with torch.autocast(device, enabled=device == "cuda"):
            tiles, target = batch["tile"].to(device), batch["target"].to(device)
            loss = torch.nn.functional.mse_loss(network(tiles), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device
        asked = time.perf_counter()
    return waited, time.perf_counter() - start


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
