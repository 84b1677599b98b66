"""Prove on a GPU what is written without one: features, speed, training in mixed precision, memory. Under eight minutes.

    python benchmarks/gpu_check.py                          # the GPU that torch sees
    python benchmarks/gpu_check.py --device cpu --small     # the same steps in two minutes, to test the script

Every check prints one line with its figures; the exit code is the number of checks that failed. Weights are random, so nothing is
downloaded; EfficientNet-Lite0 is checked too where its packages are installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _networks import encoder_of, known, stored_slide
from encode import clock, in_memory

import spatialhist as sh
from spatialhist._runtime.executor import cores
from spatialhist._runtime.threads import pinned_threads
from spatialhist.tiles import FeatureCache, TileReader, TileSpec
from spatialhist.tiles._features.compute import Compute
from spatialhist.tiles._features.engines import Gpu, as_engine

EXACT, HALF = 1e-3, 5e-2
"""Largest difference allowed, of the largest feature: float32 on both, half on the device."""
SHARE = 0.8
"""Of the device's own limit."""
SCORE = 0.03
"""Mean within-slide Pearson may differ by so much, or by twice what another seed changes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    start, failed = time.perf_counter(), 0
    name = torch.cuda.get_device_name() if args.device.startswith("cuda") else args.device
    print(f"torch {torch.__version__}, {name}")
    for check in (features, speed, halving, fold, memory):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            passed, figures = check(Path(folder), args.device, args.small)
        failed += not passed
        print(
            f"{'ok  ' if passed else 'FAIL'} {check.__name__}: {figures} ({time.perf_counter() - began:.0f} s)",
            flush=True,
        )
    print(f"{failed} checks failed, {time.perf_counter() - start:.0f} s")
    raise SystemExit(failed)


def gpu(encoder: Any, device: str, precision: str = "auto") -> Gpu:
    """The engine of a GPU; on the CPU too, where the script is tested."""
    return Gpu(as_engine(encoder, Compute("cpu")).encoder, Compute(device, precision))


def networks(*, small: bool) -> list[str]:
    return [name for name in known() if name != "color_texture" and not (small and name == "ViT-L/16")]


def random_tiles(n: int) -> np.ndarray:
    """Smooth tiles with noise, as networks see them."""
    rng = np.random.default_rng(0)
    low = rng.uniform(60, 250, (n, 3, 7, 7)).repeat(32, axis=2).repeat(32, axis=3)
    return np.clip(low + rng.normal(0, 12, low.shape), 0, 255).astype(np.uint8)


def features(folder: Path, device: str, small: bool) -> tuple[bool, str]:
    """Features of the device equal those of the CPU, in float32 and in half."""
    tiles, told, passed = random_tiles(4 if small else 32), [], True
    for name in networks(small=small):
        encoder = encoder_of(name)
        reference = in_memory(as_engine(encoder, Compute("cpu")), tiles)
        exact, half = (
            float(np.abs(in_memory(gpu(encoder, device, p), tiles) - reference).max() / np.abs(reference).max())
            for p in ("float32", "auto")
        )
        passed &= exact <= EXACT and half <= HALF
        told.append(f"{name} {exact:.1e} float32, {half:.1e} auto")
    return passed, "; ".join(told)


def speed(folder: Path, device: str, small: bool) -> tuple[bool, str]:
    """Tiles a second from a store, beside the same network on tiles in memory."""
    told, passed = [], True
    slide, xy = stored_slide(folder, 12 if small else 6000, 1024 if small else 8192)
    for name in networks(small=small):
        encoder = encoder_of(name)
        centers = xy[: len(xy) // 3] if name == "ViT-L/16" else xy
        engine, spec = gpu(encoder, device), TileSpec(("px", 224.0), 224, grid=1)
        tiles = TileReader.open(slide, "S1").read(centers, 224, 224)
        in_memory(engine, tiles[:600])
        cache = FeatureCache(None, device=device)
        limit = min(clock(lambda: in_memory(engine, tiles))[0] for _ in range(2))  # noqa: B023
        package = min(
            clock(lambda: cache.features(slide, "S1", spec, encoder, centers, progress=False))[0]  # noqa: B023
            for _ in range(2)
        )
        # on the CPU there are few tiles and other programs: the figure is printed, not judged
        passed &= small or limit / package >= SHARE
        told.append(
            f"{name} {len(centers) / package:.0f} of {len(centers) / limit:.0f} a second, {limit / package:.0%}"
        )
    return passed, "; ".join(told)


class Greedy(torch.nn.Module):
    """Memory for so many tiles only."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.weight, self.most = torch.nn.Parameter(torch.ones(3)), most

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        if len(tiles) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return tiles.float().mean(dim=(2, 3)) * self.weight


def halving(folder: Path, device: str, small: bool) -> tuple[bool, str]:
    """A batch that does not fit is halved, with the same features: memory of the device is limited for real on CUDA."""
    tiles = random_tiles(40 if small else 600)
    engine, reference = gpu(Greedy(3), device, "float32"), tiles.mean(axis=(2, 3))
    different = np.abs(in_memory(engine, tiles) - reference).max() / 255
    if not device.startswith("cuda") or small:
        return bool(
            different < 1e-5 and engine._at_once <= 3
        ), f"batches of {engine._at_once}, difference {different:.1e}"
    encoder = encoder_of("ViT-L/16")
    whole = in_memory(gpu(encoder, device), tiles[:64])
    torch.cuda.empty_cache()
    # so much that weights fit, and a batch of 512 does not
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 3e9 / total))
    limited = gpu(encoder, device)
    try:
        found = in_memory(limited, tiles)[:64]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    apart = float(np.abs(found - whole).max() / np.abs(whole).max())
    passed = different < 1e-5 and limited._at_once < 512 and apart < HALF
    return bool(passed), f"ViT-L/16 in 3 GB: batches of {limited._at_once}, difference {apart:.1e}"


def fold(folder: Path, device: str, small: bool) -> tuple[bool, str]:
    """One fold of the three-branch network: mixed precision on the device scores as the CPU does."""
    size = (300, 400) if small else (600, 800)
    sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=size, n_genes=30)
    sh.pp.mask_background(sdata)
    sh.pp.log_normalize(sdata)
    score = scorer(sdata, epochs=1 if small else 12)
    cpu, seed, there = score("cpu", 0), score("cpu", 1), score(device.split(":")[0], 0)
    allowed = max(SCORE, 2 * abs(cpu - seed))
    return abs(there - cpu) <= allowed, f"Pearson {there:.3f}, CPU {cpu:.3f} and {seed:.3f} with another seed"


def scorer(sdata: Any, *, epochs: int) -> Callable[[str, int], float]:
    def score(accelerator: str, seed: int) -> float:
        network = sh.tl.TileNetwork(epochs=epochs, accelerator=accelerator)
        model = sh.tl.fit(
            sdata, models=network, genes=20, slides=["S1", "S2"], seed=seed, context=(), threads=cores(), progress=False
        )
        sh.tl.predict(sdata, model, slides="S3", progress=False)
        table = sdata["table"][sdata["table"].obs["region"] == "S3", model.genes]
        truth, found = table.layers["log1p"], table.layers["predicted"]
        return float(np.nanmean(sh.metrics.pearson(np.asarray(getattr(truth, "todense", lambda: truth)()), found)))

    return score


def memory(folder: Path, device: str, small: bool) -> tuple[bool, str]:
    """Peak memory of the device while a ViT-L encodes, and that nothing is left of it."""
    if not device.startswith("cuda"):
        return True, "not on this device"
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with pinned_threads(1):
        in_memory(gpu(encoder_of("ViT-L/16"), device), random_tiles(64 if small else 2048))
    peak, left = torch.cuda.max_memory_allocated(), torch.cuda.memory_allocated() - before
    return left < 1e7, f"ViT-L/16 peak {peak / 1e9:.1f} GB, {left / 1e6:.0f} MB left"


if __name__ == "__main__":
    main()
