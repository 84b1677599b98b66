"""What a save takes, beside spatialdata's own write of the same images, shapes and tables without our records.

    python benchmarks/save.py               20 and 40 slides, preprocessed, cross-validated and predicted
    python benchmarks/save.py --sizes 10    other numbers of slides
    python benchmarks/save.py image         one simulated slide of 92 megapixels, into a new store

Seconds of the processor. ``of the write`` is the ratio to spatialdata's write in the same run.
"""

from __future__ import annotations

import argparse
import gc
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scale import LOOKS, QUIET, cohort, fitted, mean_color, preprocess


def seconds(call: Callable[[], Any]) -> float:
    """Processor seconds of a call."""
    gc.collect()
    before = time.process_time()
    call()
    return time.process_time() - before


def studied(n_slides: int) -> Any:
    """Slides with everything that a study records of them."""
    sh, sdata = cohort(n_slides, 64, 200, 0.2, 100)
    for _, step in preprocess(sh, sdata):
        step()
    ridge = sh.tl.Ridge(components=3)
    sh.tl.cross_validate(sdata, models=ridge, genes=20, groups="fold", **LOOKS, **QUIET)
    sh.tl.predict(sdata, fitted(sh, 200), encoder=mean_color, **QUIET)
    return sh, sdata


def without_records(sdata: Any) -> Any:
    """The same elements with tables of which nothing is recorded."""
    import spatialdata as sd

    from spatialhist import _keys

    tables = {name: table.copy() for name, table in sdata.tables.items()}
    for table in tables.values():
        table.uns.pop(_keys.ROOT, None)
    kinds = {kind: dict(getattr(sdata, kind)) for kind in ("images", "labels", "points", "shapes")}
    return sd.SpatialData(**kinds, tables=tables)


def measure_slides(n_slides: int) -> None:
    """Write, save again, save a new layer, and save after the store was read."""
    sh, sdata = studied(n_slides)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.zarr"
        plain = without_records(sdata)
        rows = {"spatialdata's write, without records": seconds(lambda: plain.write(f"{folder}/plain.zarr"))}
        rows["spatialdata's write"] = seconds(lambda: sdata.write(f"{folder}/b.zarr", update_sdata_path=False))
        rows["pp.save into a new store"] = seconds(lambda: sh.pp.save(sdata, path))
        rows["pp.save, nothing new"] = seconds(lambda: sh.pp.save(sdata))
        rows["pp.save, nothing new, again"] = seconds(lambda: sh.pp.save(sdata))
        sh.pp.rank_expression(sdata)
        rows["pp.save, a new layer"] = seconds(lambda: sh.pp.save(sdata))
        back: list[Any] = []
        rows["io.read"] = seconds(lambda: back.append(sh.io.read(path)))
        rows["pp.save of what was read"] = seconds(lambda: sh.pp.save(back[0]))
    show(f"{n_slides} slides", rows)


def measure_image(side: int = 9_600) -> None:
    """Bring a slide into a new store, and write the same pixels with spatialdata alone."""
    import spatialdata as sd

    from spatialhist._sdata.build import build_slide
    from spatialhist.io._assembly.cohort import assemble

    pixels = simulated_pixels(side)
    xy = np.random.default_rng(0).uniform(100, side - 100, (400, 2))
    made = {"slide": "S1", "genes": ["A", "B"], "spot_diameter_px": 60.0}
    part = build_slide(pixels, xy, np.ones((400, 2), np.float32), **made)
    with tempfile.TemporaryDirectory() as folder:
        plain = sd.SpatialData(images=dict(part.images))
        rows = {"spatialdata's write": seconds(lambda: plain.write(f"{folder}/plain.zarr"))}
        rows["into a new store"] = seconds(lambda: assemble(iter([part]), f"{folder}/ours.zarr"))
        sizes = {name: folder_mb(Path(folder) / name) for name in ("plain.zarr", "ours.zarr")}
    show(f"{side**2 / 1e6:.0f} Mpx", rows)
    print(f"MB on disk: {sizes}")


def simulated_pixels(side: int) -> np.ndarray:
    """Noise on fields of color, which compresses about as well as stained tissue."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(120, 230, (3, side // 40, side // 40), dtype=np.uint8).repeat(40, axis=1).repeat(40, axis=2)
    return coarse + rng.integers(0, 12, coarse.shape, dtype=np.uint8)


def folder_mb(folder: Path) -> float:
    return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6, 1)


def show(title: str, rows: dict[str, float]) -> None:
    """Print seconds, and their ratio to the first row."""
    write = next(iter(rows.values()))
    print(f"| {title} | CPU s | of the write |\n|---|--:|--:|")
    for name, value in rows.items():
        print(f"| {name} | {value:.2f} | {value / write:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=("slides", "image"), default="slides")
    parser.add_argument("--sizes", type=int, nargs="+", default=(20, 40))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    if options.kind == "image":
        return measure_image()
    measure_slides(3)  # what libraries and compiled functions take
    for n in options.sizes:
        measure_slides(n)


if __name__ == "__main__":
    main()
