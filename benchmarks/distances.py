"""Spot distances on growing lattices, the whole call beside squidpy's graph: python benchmarks/distances.py.

Processor seconds and memory.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from squidpy.gr.neighbors import RadiusBuilder

from spatialhist import pp
from spatialhist._sdata.build import build_slide

SIZES = (31_250, 125_000, 500_000)
PITCH = 100.0


def hexagons(n: int) -> np.ndarray:
    side = int(np.ceil(np.sqrt(n)))
    i, j = np.meshgrid(np.arange(side), np.arange(side))
    return np.column_stack([((i + j % 2 / 2) * PITCH).ravel(), (j * PITCH * np.sqrt(0.75)).ravel()])[:n]


def main() -> None:
    print(
        f"{'spots':>8} {'cpu s':>6} {'squidpy':>7} {'ratio':>5} {'peak MB':>8} {'MB per 1,000 spots':>19} "
        f"{'spacing px':>10} {'neighbors':>9}"
    )
    for n in (1_000, *SIZES):
        xy = hexagons(n)
        sdata = build_slide(None, xy, sp.csr_matrix((n, 1), dtype=np.float32), slide="S1", genes=["G"])
        spent = seconds(lambda: pp.spot_distances(sdata))  # noqa: B023
        theirs = seconds(lambda: RadiusBuilder(radius=1.5 * PITCH).build(xy))  # noqa: B023
        tracemalloc.start()  # makes everything several times slower, so it is not on while the clock runs
        pp.spot_distances(sdata)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        if n == 1_000:
            continue  # imports and compiling
        neighbors = np.diff(sdata["table"].obsp["spatial_distances"].indptr)
        pitch = sdata.attrs["spatialhist"]["slides"]["S1"]["pitch_px"]
        print(
            f"{n:8,} {spent:6.2f} {theirs:7.2f} {theirs / spent:5.1f} {peak:8.0f} {peak / n * 1e3:19.2f} {pitch:10.3f} "
            f"{np.median(neighbors):9.0f}",
            flush=True,
        )


def seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    main()
