"""Many slides, many spots, many genes: every step ends or refuses at once, and memory and time grow in proportion.

    python benchmarks/scale.py              about ten minutes; the table of docs/benchmarks.md
    python benchmarks/scale.py --short      a tenth of it
    python benchmarks/scale.py spots        one kind of slides, spots, genes, refused

Each row runs in a process of its own, whose peak of memory above what the libraries take is measured. Ends with an error
when a ceiling is broken: GROWTH times the row above where sizes double, and DENSE of what one dense table would take.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

GROWTH = 3.0
DENSE = 0.5
QUIET = {"progress": False}


def cohort(n_slides: int, n_spots: int, n_genes: int, density: float, size: int) -> Any:
    """Slides on white glass with random sparse counts; spots on a square lattice of 10 pixels."""
    import scipy.sparse as sp

    import spatialhist as sh
    from spatialhist._sdata.build import build_slide, concat_slides
    from spatialhist._sdata.images import add_mask

    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(n_spots)))
    y, x = np.divmod(np.arange(n_spots), side)
    xy = np.column_stack([x, y]) * 10.0 + 5
    coarse = rng.integers(90, 220, (3, size // 20 + 1, size // 20 + 1), dtype=np.uint8)
    parts = []
    for i in range(n_slides):
        image = np.roll(coarse, i, axis=1).repeat(20, axis=1).repeat(20, axis=2)[:, :size, :size]
        counts = sp.random(n_spots, n_genes, density, "csr", np.float32, rng, data_rvs=lambda n: rng.integers(1, 9, n))
        genes = [f"G{g}" for g in range(n_genes)]
        parts.append(build_slide(image, xy, counts, slide=f"S{i}", genes=genes, patient=f"P{i}", mpp=2.0))
    sdata = concat_slides(parts)
    for i in range(n_slides):
        add_mask(sdata, np.ones((50, 50), dtype=bool), image=f"S{i}_full_image")
    return sh, sdata


def mean_color(tiles: Any) -> Any:
    return tiles.float().mean(dim=(2, 3))


mean_color.fingerprint = "mean colour"
LOOKS = {"encoder": mean_color, "extents": [("px", 20.0)], "pixels": 8, "context": []}


def preprocess(sh: Any, sdata: Any) -> None:
    sh.pp.filter_spots(sdata, min_counts=1)
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="log1p")


def many_slides(n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    sh, sdata = cohort(n, 64, 200, 0.2, 100)
    yield "preprocess", lambda: preprocess(sh, sdata)
    model = sh.tl.Ridge(components=3)
    yield "fit", lambda: sh.tl.fit(sdata, models=model, genes=20, **LOOKS, **QUIET)
    with tempfile.TemporaryDirectory() as folder:
        yield "write", lambda: sdata.write(f"{folder}/a.zarr")
        yield "save", lambda: (sh.pp.rank_expression(sdata), sh.pp.save(sdata))


def many_spots(n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    side = 10 * int(np.ceil(np.sqrt(n)))
    sh, sdata = cohort(1, n, 50, 0.2, side)
    yield "preprocess", lambda: preprocess(sh, sdata)
    yield "rank", lambda: sh.pp.rank_expression(sdata)
    spec, xy = sh.tiles.TileSpec(("px", 20), 8), sdata["table"].obsm["spatial"]
    yield "features", lambda: sh.tiles.FeatureCache(None).features(sdata, "S0", spec, mean_color, xy, progress=False)
    yield "to_image", lambda: sh.tl.to_image(sdata, ["G1"], slide="S0", layer="log1p")


def many_genes(n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    sh, sdata = cohort(2, n, 20_000, 0.05, 10 * int(np.ceil(np.sqrt(n))))
    yield "preprocess", lambda: preprocess(sh, sdata)
    yield "select", lambda: sh.pp.select_genes(sdata, n=2000, subset=True)
    yield "rank", lambda: sh.pp.rank_expression(sdata)


def refusals() -> Iterator[tuple[str, Callable[[], Any]]]:
    sh, sdata = cohort(3, 20_000, 20_000, 0.002, 1420)
    sh.pp.log_normalize(sdata)
    yield "rank", lambda: refused(lambda: sh.pp.rank_expression(sdata))
    yield (
        "cross_validate", lambda: refused(lambda: sh.tl.cross_validate(sdata, models="ridge", genes=20, **LOOKS, **QUIET))
    )  # fmt: skip


def refused(call: Callable[[], Any]) -> None:
    """Ask for what cannot be had."""
    try:
        call()
    except MemoryError as error:
        if "sh.pp.select_genes" not in str(error):
            raise SystemExit(f"the advice is missing: {error}") from error
    else:
        raise SystemExit("a dense layer above the limit was not refused")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(kind: str, n: int, results: Any) -> None:
    """Run the steps of one kind, in a process of its own."""
    warnings.simplefilter("ignore")
    steps = {"slides": many_slides, "spots": many_spots, "genes": many_genes}
    for _, step in many_slides(2):
        step()  # what libraries and compiled functions take is not counted
    rows, start = [], 0.0
    for name, step in refusals() if kind == "refused" else steps[kind](n):
        start = start or peak_mb()
        before = time.perf_counter()
        step()
        rows.append((name, time.perf_counter() - before, peak_mb() - start))
    results.put(rows)


def check_growth(kind: str, sizes: list[int], peaks: list[float]) -> None:
    """Compare peaks of growing sizes; below 50 MB they are noise."""
    for i in range(1, len(sizes)):
        allowed = GROWTH / 2 * sizes[i] / sizes[i - 1] * max(peaks[i - 1], 50)
        if peaks[i] > allowed:
            raise SystemExit(f"{kind}: {peaks[i]:.0f} MB at {sizes[i]:,}, allowed are {allowed:.0f} MB")


def run(kind: str, n: int) -> list[tuple[str, float, float]]:
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=measure, args=(kind, n, results))
    process.start()
    rows = None
    while rows is None and (process.is_alive() or not results.empty()):
        rows = results.get() if not results.empty() else time.sleep(0.1)
    process.join()
    if rows is None:
        raise SystemExit(f"{kind} {n:,} ended with {process.exitcode}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    plan = {"slides": (50, 100, 200), "spots": (125_000, 250_000, 500_000), "genes": (2_000, 4_000, 8_000)}
    kinds = options.kinds or [*plan, "refused"]
    print("| what | size | step | seconds | peak MB above the input |\n|---|---|---|---|---|")
    for kind in kinds:
        if kind == "refused":
            report_refusals()
        else:
            report(kind, [n // 10 if options.short else n for n in plan[kind]])


def report(kind: str, sizes: list[int]) -> None:
    peaks: list[float] = []
    for n in sizes:
        rows = run(kind, n)
        peaks.append(max(mb for _, _, mb in rows))
        for name, seconds, mb in rows:
            print(f"| {kind} | {n:,} | {name} | {seconds:.1f} | {mb:.0f} |", flush=True)
    check_growth(kind, sizes, peaks)


def report_refusals() -> None:
    for name, seconds, mb in run("refused", 0):
        print(f"| 60,000 x 20,000 | dense 4.8 GB | {name} refused | {seconds:.1f} | {mb:.0f} |", flush=True)
        if mb > DENSE * 4800:
            raise SystemExit(f"{name} took {mb:.0f} MB before it refused")


if __name__ == "__main__":
    main()
