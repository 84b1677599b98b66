"""How well patients can be told apart by color, before and after stain normalization: python benchmarks/slide_probe.py.

Options: [--data FOLDER] [--store ZARR]. her2st: slides by held-out quarters of tissue. TCGA patches (`wsi/tcga_patches`
beside the folder of her2st): patients by held-out patches.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from _her2st import stored_cohort
from PIL import Image

import spatialhist as sh

METHODS = ("macenko", "vahadane", "reinhard")


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    folder = parser.parse_known_args()[0].data.parent / "wsi" / "tcga_patches"
    her2st = stored_cohort()
    sh.pp.mask_background(her2st, fill=False)
    print(f"{'data':<14} {'classes':<8} {'chance':>6} {'before':>6}", *(f"{m:>9}" for m in METHODS))
    report("her2st", her2st, "slide")
    if folder.is_dir():
        report("TCGA patches", patches(folder), "patient", extent=("px", 112.0))


def report(name: str, sdata, by: str, **options) -> None:
    before = sh.tl.slide_probe(sdata, by=by, **options)
    after = []
    for method in METHODS:
        sh.pp.normalize_stain(sdata, method=method)
        after.append(sh.tl.slide_probe(sdata, by=by, image="normalized", **options).accuracy)
    print(f"{name:<14} {by:<8} {before.chance:6.2f} {before.accuracy:6.2f}", *(f"{a:9.2f}" for a in after), flush=True)


def patches(folder: Path):
    """Every patch as a slide of its patient; all of it is tissue."""
    parts = []
    for path in sorted(folder.glob("*.png")):
        pixels = np.moveaxis(np.asarray(Image.open(path).convert("RGB")), -1, 0)
        parts.append(
            sh.io.from_arrays(
                pixels,
                np.array([[60.0, 60], [120, 60], [120, 130]]),
                np.ones((3, 1), np.float32),
                slide=path.stem,
                patient=path.stem.rsplit("_", 2)[0],
                mpp=0.5,
            )  # fmt: skip
        )
    sdata = sh.io.concat(parts)
    sh.pp.mask_background(sdata, method=lambda p: np.ones(p.shape[:2], bool), fill=False)
    return sdata


if __name__ == "__main__":
    main()
