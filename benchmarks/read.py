"""Time and peak memory of reading a folder of slides into a zarr store.

    python benchmarks/read.py ../shared/data/her2st

Prints the seconds (wall and processor) of the whole read, and how far the peak of the process rose above what it held after
the imports, in decoded images of the largest slide.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import spatialhist as sh
from spatialhist import _keys


def peak_mb() -> float:
    """Highest resident memory so far; Linux counts it in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def warm_up(folder: Path) -> None:
    """Load what a first read imports."""
    sh.datasets.synthetic(n_slides=1, n_patients=1, size_px=(600, 700), n_genes=5).write(folder)


def main(folder: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        warm_up(Path(scratch, "warm.zarr"))
        before, start, cpu = peak_mb(), time.perf_counter(), time.process_time()
        sdata = sh.io.read_st(folder, store=Path(scratch, "cohort.zarr"), progress=False)
        seconds, cpu, rise = time.perf_counter() - start, time.process_time() - cpu, peak_mb() - before
        slides = sdata["table"].obs[_keys.REGION].unique()
        pixels = [sdata[_keys.image(s)]["scale0"]["image"][0].size for s in slides]
        decoded = max(pixels) * 3 / 2**20
    print(f"{len(slides)} slides, {sum(pixels) / 1e6:.0f} Mpx: {seconds:.1f} s wall, {cpu:.1f} s of processor")
    print(f"peak memory rose by {rise:.0f} MiB = {rise / decoded:.2f} decoded images of {decoded:.0f} MiB")


if __name__ == "__main__":
    main(sys.argv[1])
