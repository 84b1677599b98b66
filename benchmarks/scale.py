"""Many slides, many spots, many genes: every step ends or refuses at once, and memory and time grow in proportion.

    python benchmarks/scale.py              the tables of docs/benchmarks.md
    python benchmarks/scale.py --short      a tenth of it
    python benchmarks/scale.py spots        one kind of slides, cohort, spots, models, genes, refused
    python benchmarks/scale.py hd           a slide of Visium HD; also hd-slice, pool, and transcripts of Xenium
    python benchmarks/scale.py hd-run       three slides of Visium HD, pooled and trained on; hd-bins: bins of 16 um
    python benchmarks/scale.py cohort --sizes 25 50 100
    python benchmarks/scale.py growth       exponents of time and memory against slides, spots, genes and the side of images
    python benchmarks/scale.py growth-genes --sizes 50 200 800

Each size runs in a process of its own; its peak of memory above what libraries and input take, without pages of files
that the system keeps in free memory, and its processor seconds are measured. Ends with an error when a ceiling is
broken: GROWTH times what is in proportion to the size before, and DENSE of what one dense table of all genes would take.

``models`` fits the default models to simulated features, as many and as wide as the default encoder gives, and predicts a
quarter of the spots. Features lie in files, 14 kB a spot. ``cohort`` gives the exponent of time of each step: 1 is linear.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _scale_platforms import STEPS, STUDIES, WRITERS, check_aims, import_all

GROWTH = 1.5
EXPONENT = 1.05
"""Of time and of memory of all steps together, whatever grows."""
AXES = {
    "growth-slides": (2, 8, 32, 80),
    "growth-spots": (2_000, 8_000, 32_000),
    "growth-genes": (50, 200, 800, 2_000),
    "growth-side": (1_000, 2_000, 4_000, 8_000),
}
DENSE = 0.5
GENES = 20_000
QUIET = {"progress": False}


def cohort(n_slides: int, n_spots: int, n_genes: int, density: float, size: int, first: int = 0) -> Any:
    """Slides on white glass with random sparse counts; spots on a square lattice of 10 pixels."""
    import scipy.sparse as sp

    import spatialhist as sh
    from spatialhist._sdata.build import build_slide, concat_slides

    rng = np.random.default_rng(first)
    side = int(np.ceil(np.sqrt(n_spots)))
    y, x = np.divmod(np.arange(n_spots), side)
    xy = np.column_stack([x, y]) * 10.0 + 5
    parts = []
    for i in range(first, first + n_slides):
        coarse = np.random.default_rng(i).integers(90, 220, (3, size // 20 + 1, size // 20 + 1), dtype=np.uint8)
        image = coarse.repeat(20, axis=1).repeat(20, axis=2)[:, :size, :size]
        counts = sp.random(n_spots, n_genes, density, "csr", np.float32, rng, data_rvs=lambda n: rng.integers(1, 9, n))
        genes = [f"G{g}" for g in range(n_genes)]
        parts.append(build_slide(image, xy, counts, slide=f"S{i}", genes=genes, patient=f"P{i}", mpp=2.0))
    sdata = concat_slides(parts)
    sdata["table"].obs["fold"] = (np.arange(n_slides * n_spots) // n_spots % 4).astype(str)
    return sh, sdata


def mean_color(tiles: Any) -> Any:
    return tiles.float().mean(dim=(2, 3))


mean_color.fingerprint = "mean color"
LOOKS = {"encoder": mean_color, "extents": [("px", 20.0)], "pixels": 8, "context": []}


Steps = Iterator[tuple[str, Callable[[], Any]]]


def preprocess(sh: Any, sdata: Any) -> Steps:
    yield "mask_background", lambda: sh.pp.mask_background(sdata, method=dark)
    yield "realign", lambda: sh.pp.realign(sdata)
    yield "filter_spots", lambda: sh.pp.filter_spots(sdata, min_counts=1)
    yield "log_normalize", lambda: sh.pp.log_normalize(sdata)
    yield "spot_distances", lambda: sh.pp.spot_distances(sdata)
    yield "smooth_expression", lambda: sh.pp.smooth_expression(sdata, layer="log1p")


def dark(pixels: Any) -> Any:
    return pixels.mean(axis=2) < 250


def fitted(sh: Any, n_genes: int) -> Any:
    """A model of other slides."""
    _, other = cohort(2, 2_500, n_genes, 0.2, 500, first=900)
    ready(sh, other)
    return sh.tl.fit(other, models=sh.tl.Ridge(components=3), genes=20, **LOOKS, **QUIET)


def ready(sh: Any, sdata: Any) -> None:
    sh.pp.mask_background(sdata, method=dark)
    sh.pp.log_normalize(sdata)


def many_slides(n: int) -> Steps:
    sh, sdata = cohort(n, 64, 200, 0.2, 100)
    model, ridge = fitted(sh, 200), sh.tl.Ridge(components=3)
    yield from preprocess(sh, sdata)
    yield "rank_expression", lambda: sh.pp.rank_expression(sdata)
    yield "cross_validate", lambda: sh.tl.cross_validate(sdata, models=ridge, genes=20, groups="fold", **LOOKS, **QUIET)
    yield "fit", lambda: sh.tl.fit(sdata, models=ridge, genes=20, **LOOKS, **QUIET)
    yield "predict", lambda: sh.tl.predict(sdata, model, **QUIET, encoder=mean_color)
    yield "predict_grid", lambda: sh.tl.predict_grid(sdata, model, **QUIET, encoder=mean_color)
    with tempfile.TemporaryDirectory() as folder:
        yield "write", lambda: sdata.write(f"{folder}/a.zarr")
        yield "save", lambda: (sh.pp.rank_expression(sdata), sh.pp.save(sdata))


def whole_study(n: int) -> Steps:
    """What a user does with a cohort, from a store to a new slide."""
    import spatialdata as sd

    sh, sdata = cohort(n, 200, 200, 0.2, 150)
    _, new = cohort(1, 200, 200, 0.2, 150, first=900)
    ready(sh, new)
    models = [sh.tl.Ridge(components=3), sh.tl.Ridge(components=2, name="small")]
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        yield "write", lambda: sdata.write(f"{folder}/a.zarr")
        yield "mask_background", lambda: sh.pp.mask_background(sdata, method=dark)
        yield "log_normalize", lambda: sh.pp.log_normalize(sdata)
        yield "save", lambda: sh.pp.save(sdata)
        yield "read", lambda: made.update(sdata=sh.io.read(f"{folder}/a.zarr"))
        yield (
            "cross_validate",
            lambda: made.update(
                cv=sh.tl.cross_validate(
                    made["sdata"], models=models, genes=20, groups="fold", out=f"{folder}/run", **LOOKS, **QUIET
                )
            ),
        )
        yield "stack", lambda: made.update(stack=sh.tl.stack(made["sdata"], made["cv"]))
        yield "evaluate", lambda: sh.tl.evaluate(made["sdata"])
        yield "predict one slide", lambda: sh.tl.predict(new, made["stack"], encoder=mean_color, **QUIET)
        yield "read with spatialdata", lambda: sd.read_zarr(f"{folder}/a.zarr")


def many_spots(n: int) -> Steps:
    side = 10 * int(np.ceil(np.sqrt(n)))
    sh, sdata = cohort(1, n, 50, 0.2, side)
    model, ridge = fitted(sh, 50), sh.tl.Ridge(components=3)
    yield from preprocess(sh, sdata)
    yield "rank_expression", lambda: sh.pp.rank_expression(sdata)
    spec, xy = sh.tiles.TileSpec(("px", 20), 8), sdata["table"].obsm["spatial"]
    yield "features", lambda: sh.tiles.FeatureCache(None).features(sdata, "S0", spec, mean_color, xy, progress=False)
    yield "fit", lambda: sh.tl.fit(sdata, models=ridge, genes=20, **LOOKS, **QUIET)
    yield "predict", lambda: sh.tl.predict(sdata, model, **QUIET, encoder=mean_color)
    yield "predict_grid", lambda: sh.tl.predict_grid(sdata, model, **QUIET, encoder=mean_color)
    yield "to_image", lambda: sh.tl.to_image(sdata, ["G1"], slide="S0", layer="log1p")


def growing(axis: str, n: int) -> Steps:
    """From mask to cross-validation, where one of the sizes is ``n``; every gene is predicted."""
    sizes = {"growth-slides": 4, "growth-spots": 1_600, "growth-genes": 100, "growth-side": 500} | {axis: n}
    slides, spots, genes = sizes["growth-slides"], sizes["growth-spots"], sizes["growth-genes"]
    least = 10 * int(np.ceil(np.sqrt(spots / slides)))
    sh, sdata = cohort(
        slides, spots // slides if axis != "growth-slides" else 200, genes, 0.2, max(sizes["growth-side"], least)
    )
    yield from preprocess(sh, sdata)
    yield "rank_expression", lambda: sh.pp.rank_expression(sdata)
    groups = "fold" if slides > 3 else "slide"
    cv = {"models": "ridge", "genes": genes, "groups": groups, **LOOKS, **QUIET}
    yield "cross_validate", lambda: sh.tl.cross_validate(sdata, **cv)
    yield "evaluate", lambda: sh.tl.evaluate(sdata, oracles=False, min_counts=1)


def default_models(n: int) -> Steps:
    from spatialhist.tl._predictors.registry import resolve_models
    from spatialhist.tl._runs.fits import Fit, run_fit

    with tempfile.TemporaryDirectory() as folder:
        inputs = simulated_inputs(Path(folder) / "inputs", n)
        for model in resolve_models("default"):
            fit = Fit(model, ("g0",), tuple(range(250)), Path(folder) / model.name, seed=0, threads=1)
            yield f"fit {model.name}", lambda fit=fit: run_fit(fit, inputs)


def simulated_inputs(folder: Path, n: int, n_slides: int = 4) -> Path:
    """Features of 16 blocks of 224 that follow a few numbers a spot, and 250 genes that follow them with noise."""
    from spatialhist.tl._data.samples import row_parts, write_inputs

    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 12)).astype(np.float32)
    weights = rng.normal(size=(16, 12, 224)).astype(np.float32)
    values = hidden @ rng.normal(size=(12, 250)).astype(np.float32)
    for rows in row_parts(n):
        values[rows] += 3 * rng.standard_normal(values[rows].shape, np.float32)
    slides = [f"S{i}" for i in range(n_slides)]
    write_inputs(
        folder, slides=slides, groups=[f"g{i}" for i in range(n_slides)], patients=slides,
        slide_code=np.arange(n) * n_slides // n, position=rng.normal(size=(n, 2)),
        features=([hidden[rows] @ w + rng.standard_normal((len(hidden[rows]), 224), np.float32) for w in weights] for rows in row_parts(n)),
        statistics=[np.tile(np.array([[0], [4]], np.float32), (n_slides, 1, 224))] * 16,
        values=values, tiles=None, ranking=None, n_own=4,
    )  # fmt: skip
    return folder


def many_genes(n: int) -> Steps:
    sh, sdata = cohort(2, n // 2, GENES, 0.05, 10 * int(np.ceil(np.sqrt(n // 2))))
    ridge = sh.tl.Ridge(components=3)
    # smoothed, 20,000 genes would fill the table: that is for what is left of them
    *before, smooth = preprocess(sh, sdata)
    yield from before
    # a cross-validation adds seven dense layers of what is left
    yield "select_genes", lambda: sh.pp.select_genes(sdata, n=500, subset=True)
    yield smooth
    yield "rank_expression", lambda: sh.pp.rank_expression(sdata)
    yield (
        "cross_validate",
        lambda: sh.tl.cross_validate(sdata, models=ridge, genes=20, groups="slide", **LOOKS, **QUIET),
    )


def refusals() -> Steps:
    sh, sdata = cohort(3, 20_000, GENES, 0.002, 1420)
    model = fitted(sh, 200)
    ready(sh, sdata)
    cv = {"models": "ridge", "genes": 20, **LOOKS, **QUIET}
    yield "rank_expression", lambda: refused(lambda: sh.pp.rank_expression(sdata))
    yield "cross_validate", lambda: refused(lambda: sh.tl.cross_validate(sdata, **cv))
    yield "predict", lambda: refused(lambda: sh.tl.predict(sdata, model, encoder=mean_color, **QUIET))


def refused(call: Callable[[], Any]) -> None:
    """Ask for what cannot be had."""
    try:
        call()
    except MemoryError as error:
        if "sh.pp.select_genes" not in str(error):
            raise SystemExit(f"the advice is missing: {error}") from error
    else:
        raise SystemExit("a dense layer above the limit was not refused")


class Peak(threading.Thread):
    """Looks every few milliseconds how much memory the process holds beside pages of files."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_mb = self.mb = self.now()
        self.start()

    @staticmethod
    def now() -> float:
        return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1e3

    def run(self) -> None:
        while True:
            self.mb = max(self.mb, self.now())
            time.sleep(0.005)


def measure(kind: str, n: int, results: Any, folder: Path) -> None:
    """Run the steps of one kind, in a process of its own."""
    warnings.simplefilter("ignore")
    steps: dict[str, Callable[..., Steps]] = {"slides": many_slides, "cohort": whole_study, "spots": many_spots}
    steps |= {"models": default_models, "genes": many_genes, "refused": lambda n: refusals()}
    steps |= {axis: lambda n, axis=axis: growing(axis, n) for axis in AXES}
    warm = dict.fromkeys(AXES, lambda: growing("growth-genes", 20))
    warm |= {"models": lambda: default_models(500), **dict.fromkeys(STEPS, import_all)}
    steps |= {k: lambda n, k=k: STUDIES[k](folder, bool(n)) for k in STUDIES}
    for _, step in warm.get(kind, lambda: many_slides(4))():
        step()  # what libraries and compiled functions take is not counted
    rows, peak = [], None
    for name, step in STEPS[kind](folder) if kind in STEPS else steps[kind](n):
        peak = peak or Peak()
        before = time.process_time()
        step()
        rows.append((name, time.process_time() - before, peak.mb - peak.start_mb))
    results.put(rows)


def check_growth(what: str, sizes: list[int], values: list[float], noise: float) -> None:
    """Compare values of growing sizes; below some they are noise."""
    for i in range(1, len(sizes)):
        allowed = GROWTH * sizes[i] / sizes[i - 1] * max(values[i - 1], noise)
        if values[i] > allowed:
            raise SystemExit(f"{what}: {values[i]:.0f} at {sizes[i]:,}, allowed are {allowed:.0f}")


def run(kind: str, n: int) -> list[tuple[str, float, float]]:
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        WRITERS.get(kind, lambda folder: None)(Path(folder))
        process = context.Process(target=measure, args=(kind, n, results, Path(folder)))
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
    parser.add_argument("--sizes", type=int, nargs="+")
    options = parser.parse_args()
    plan = {"slides": (50, 200), "cohort": (25, 50, 100, 200), "spots": (125_000, 500_000)}
    plan |= {"models": (125_000, 500_000), "genes": (4_000, 16_000)}
    plan |= AXES
    kinds = [k for kind in options.kinds for k in (AXES if kind == "growth" else [kind])]
    for kind in kinds or ["slides", "spots", "models", "genes", *STEPS, "refused"]:
        if kind == "refused":
            report_refusals()
        elif kind in STEPS or kind in STUDIES:
            report_platform(kind, options.short)
        else:
            report(kind, options.sizes or [max(n // 10, 5) if options.short else n for n in plan[kind]])


def report(kind: str, sizes: list[int]) -> None:
    """Print seconds of each size and peaks so far, a row a step; check growth."""
    tables = []
    for n in sizes:
        tables.append(run(kind, n))
        if kind == "genes":
            check_dense(tables[-1], n)
    print(f"| {kind} | " + " | ".join(f"{n:,}: s | MB" for n in sizes) + " | exponent |")
    print("|---|" + "--:|" * (2 * len(sizes) + 1))
    for rows in zip(*tables, strict=True):
        cells = " | ".join(f"{s:.1f} | {mb:.0f}" for _, s, mb in rows)
        print(f"| {rows[0][0]} | {cells} | {exponent(sizes, [s for _, s, _ in rows]):.2f} |", flush=True)
    peaks, seconds = zip(*((max(mb for *_, mb in t), sum(s for _, s, _ in t)) for t in tables), strict=True)
    print(
        "| all | "
        + " | ".join(f"{s:.1f} | {mb:.0f}" for mb, s in zip(peaks, seconds, strict=True))
        + f" | {exponent(sizes, list(seconds)):.2f} |\n",
        flush=True,
    )
    if kind in AXES:
        check_exponents(kind, {"s": exponent(sizes, list(seconds)), "MB": exponent(sizes, list(peaks))})
        return
    check_growth(f"{kind}, MB", sizes, peaks, noise=50)
    check_growth(f"{kind}, seconds", sizes, seconds, noise=5)


def check_exponents(kind: str, found: dict[str, float]) -> None:
    """Print exponents of all steps together; above the limit is an error."""
    print(
        f"{kind}: " + ", ".join(f"exponent of {what} {value:.2f}" for what, value in found.items()) + "\n", flush=True
    )
    if max(found.values()) > EXPONENT:
        raise SystemExit(f"{kind}: an exponent is above {EXPONENT}")


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Slope of time on size, both as logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(seconds, 0.01)), 1)[0])


def report_platform(kind: str, short: bool) -> None:
    """Print a row a step; ends with an error where one takes more than it may."""
    rows = run(kind, int(short))
    print(f"| {kind} | s | MB |\n|---|--:|--:|")
    for name, seconds, mb in rows:
        print(f"| {name} | {seconds:.1f} | {mb:.0f} |", flush=True)
    check_aims(kind, rows)


def check_dense(rows: list[tuple[str, float, float]], n_spots: int) -> None:
    """No step on a sparse table may take what a dense one would."""
    name, _, mb = max(rows, key=lambda row: row[2])
    dense = n_spots * GENES * 4 / 1e6
    if mb > max(DENSE * dense, 100):
        raise SystemExit(f"{name} took {mb:.0f} MB; the table would take {dense:.0f} MB if it were dense")


def report_refusals() -> None:
    print("| 60,000 x 20,000 (dense 4,800 MB) | s | MB |\n|---|--:|--:|")
    for name, seconds, mb in run("refused", 0):
        print(f"| {name} refused | {seconds:.1f} | {mb:.0f} |", flush=True)
        if mb > DENSE * 4800:
            raise SystemExit(f"{name} took {mb:.0f} MB before it refused")


if __name__ == "__main__":
    main()
