"""Processor time of the report of a run: python benchmarks/report.py [--run FOLDER].

Without a folder, a small run on simulated slides is made first. Prints the seconds of the fastest of some writes on one
thread, the share of them in `savefig` of matplotlib, and the size of the page.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import spatialdata as sd
from matplotlib.figure import Figure

import spatialhist as sh

REPEATS = 5
Run = tuple[sd.SpatialData, sh.tl.CrossValidation, sh.tl.Stack | None, pd.DataFrame]


def main() -> None:
    """Write the report of a run some times."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run folder with its data.zarr")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sdata, cv, stack, scores = opened(args.run) if args.run else simulated(Path(folder) / "run")
        page = Path(folder) / "report.html"

        def write() -> None:
            sh.report.write(sdata, cv, stack=stack, scores=scores, path=page)

        # the first one imports and compiles
        write()
        total, drawing = min(timed(write) for _ in range(REPEATS))
        size = page.stat().st_size / 1e6
    print(f"{len(cv.manifest.slides)} slides: {total:.2f} s, {drawing / total:.0%} savefig, {size:.1f} MB")


def timed(write: Callable[[], None]) -> tuple[float, float]:
    """Processor seconds of a write, and of drawing in it."""
    drawing = 0.0
    savefig = Figure.savefig

    def watched(figure: Figure, *args: Any, **options: Any) -> None:
        nonlocal drawing
        start = time.process_time()
        savefig(figure, *args, **options)
        drawing += time.process_time() - start

    start = time.process_time()
    with mock.patch.object(Figure, "savefig", watched):
        write()
    return time.process_time() - start, drawing


def opened(folder: Path) -> Run:
    """Read what a run has left."""
    sdata = sd.read_zarr(folder / "data.zarr")
    cv = sh.tl.CrossValidation.load(folder)
    stack = sh.tl.Stack.load(cv, "nnls") if len(cv.models) > 1 else None
    return sdata, cv, stack, sh.tl.evaluate(sdata)


def simulated(folder: Path) -> Run:
    """Cross-validate on slides of four patients."""
    sdata = sh.datasets.synthetic(n_slides=4, n_patients=4, size_px=(900, 1300), n_genes=60)
    sh.pp.mask_background(sdata)
    sh.pp.realign(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    cv = sh.tl.cross_validate(sdata, models=["ridge", "kernel_ridge"], genes=40, out=folder, progress=False)
    return sdata, cv, sh.tl.stack(sdata, cv), sh.tl.evaluate(sdata)


if __name__ == "__main__":
    main()
