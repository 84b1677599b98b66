"""Speed, shares and memory of predict_grid: python benchmarks/predict.py [--data FOLDER] [--store ZARR] [--um 200].

Slides of 4,096 to 40,960 pixels a side repeat a square of section C5, chunk by chunk, so that they take no space (and lie in
the page cache). Models fitted on C2-C4, the default ones or `--models ridge`, predict each in a process of its own on one
core, at spots 200 um apart. Printed: spots, spots a second of the processor, shares of its time, and peak memory above that
of the imports and the model. Pixels are read in a second thread while the encoder works, so time is that of the processor.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import spatialdata as sd
import zarr
from _her2st import read_cohort

import spatialhist as sh
from spatialhist._sdata.images import add_mask, pyramid
from spatialhist._sdata.scale import slide_info

BASE, CHUNK, MPP = 4096, 512, 0.6819
SIDES = (1, 2, 4, 10)
N_HALVED = 6
SLIDE = "S1"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    parser.add_argument("--um", type=float, default=200.0)
    parser.add_argument("--models", default="default")
    parser.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.one:
        print(json.dumps(measure(*args.one, args.um)))
        return
    with tempfile.TemporaryDirectory() as folder:
        run, base = prepare(args, Path(folder))
        for times in SIDES:
            slide = repeat(base, Path(folder) / f"{times}.zarr", times)
            call = [sys.executable, __file__, "--one", str(run), str(slide), "--um", str(args.um)]
            done = subprocess.run(
                call, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            report(times, json.loads(done.stdout.splitlines()[-1]))


def prepare(args: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """Fit the default models, and store a square of C5 whose levels are whole chunks."""
    cohort = read_cohort(args.data, args.store)
    sh.pp.mask_background(cohort, slides=["C2", "C3", "C4", "C5"], fill=False)
    sh.pp.log_normalize(cohort)
    sh.tl.fit(cohort, slides=["C2", "C3", "C4"], models=args.models, out=folder / "run", progress=False)
    square = pyramid(cohort, "C5_full_image").levels[0][:, 2000 : 2000 + BASE, 2000 : 2000 + BASE]
    placed = {SLIDE: sd.transformations.Identity()}
    image = sd.models.Image2DModel.parse(
        square.rechunk((3, CHUNK, CHUNK)), dims=("c", "y", "x"), c_coords=("r", "g", "b"), scale_factors=[2] * N_HALVED,
        chunks=(3, CHUNK, CHUNK), transformations=placed,
    )  # fmt: skip
    sd.SpatialData.init_from_elements({f"{SLIDE}_full_image": image}).write(folder / "base.zarr")
    return folder / "run", folder / "base.zarr"


def repeat(base: Path, target: Path, times: int) -> Path:
    """A store whose image repeats another: chunks are links to the same files, where a level has whole ones."""
    shutil.copytree(base, target, ignore=lambda *_: ["c"])
    for level in (base / "images" / f"{SLIDE}_full_image").glob("s*"):
        new = target / level.relative_to(base)
        about = json.loads((level / "zarr.json").read_text())
        channels, *shape = about["shape"]
        about["shape"] = [channels, *(n * times for n in shape)]
        (new / "zarr.json").write_text(json.dumps(about))
        if min(shape) >= CHUNK:
            link_chunks(level, new, [n // CHUNK for n in shape], times)
        else:
            zarr.open_array(new, mode="r+")[:] = np.tile(zarr.open_array(level, mode="r")[:], (1, times, times))
    root = json.loads((target / "zarr.json").read_text())
    root.pop("consolidated_metadata", None)
    (target / "zarr.json").write_text(json.dumps(root))
    return target


def link_chunks(level: Path, new: Path, n_chunks: list[int], times: int) -> None:
    rows, columns = n_chunks
    for y in range(rows * times):
        row = new / "c" / "0" / str(y)
        row.mkdir(parents=True)
        for x in range(columns * times):
            os.link(level / "c" / "0" / str(y % rows) / str(x % columns), row / str(x))


def measure(run: Path, store: Path, um: float) -> dict[str, float]:
    """Predict a slide that is tissue all over, and say where time and memory went."""
    from spatialhist.tiles._features import cache as _cache
    from spatialhist.tiles._features import encode as _encode
    from spatialhist.tl._inference import blocks as _predict_blocks

    sdata = sh.io.read(store)
    slide_info(sdata, SLIDE)["mpp"] = MPP
    image = pyramid(sdata, f"{SLIDE}_full_image")
    add_mask(sdata, np.ones((image.height // 32, image.width // 32), dtype=bool), image=image.key)
    model = sh.tl.load(run)
    spent: dict[str, float] = {}
    timed(spent, "encoder", _encode, "_apply", time.thread_time)
    for module in (_cache, _predict_blocks):
        timed(spent, "tiles", module, "encode_tiles", time.process_time)
    timed(spent, "head", type(model), "predict", time.thread_time)
    timed(spent, "head", type(model), "out_of_distribution", time.thread_time)
    before, start = peak_gib(), time.process_time()
    sh.tl.predict_grid(sdata, model, spacing=("um", um), progress=False)
    seconds = time.process_time() - start
    spent["reading"] = spent.pop("tiles") - spent["encoder"]
    spots = len(sdata[f"{SLIDE}_grid_table"])
    return {"side": image.width, "spots": spots, "seconds": seconds, "gib": peak_gib() - before, **spent}


def timed(spent: dict[str, float], name: str, owner: object, attribute: str, now: Callable[[], float]) -> None:
    """Add the time that a function takes to an account."""
    function = getattr(owner, attribute)
    spent.setdefault(name, 0.0)

    @contextlib.contextmanager
    def clock():
        start = now()
        yield
        spent[name] += now() - start

    def wrapped(*args, **options):
        with clock():
            return function(*args, **options)

    setattr(owner, attribute, wrapped)


def peak_gib() -> float:
    """Of this process alone: `getrusage` starts at the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def report(times: int, found: dict[str, float]) -> None:
    shares = ", ".join(f"{k} {found[k] / found['seconds']:.2f}" for k in ("reading", "encoder", "head"))
    print(
        f"{found['side']:6} px a side, {found['spots']:6} spots: {found['spots'] / found['seconds']:5.0f} spots/s, "
        f"{shares}, {found['gib']:.2f} GiB",
        flush=True,
    )


if __name__ == "__main__":
    main()
