"""Draw docs/_static/grid.png: python docs/draw_grid.py [--data FOLDER] [--store ZARR]."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

import spatialhist as sh

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from _her2st import stored_cohort

TARGET = Path(__file__).parent / "_static" / "grid.png"
TRAIN, NEW, OTHER = ["C2", "C3", "C4"], "C5", "B4"
GENE = "ERBB2"


def main() -> None:
    sdata = stored_cohort()
    sh.pp.mask_background(sdata, slides=[*TRAIN, NEW, OTHER], fill=False)
    sh.pp.log_normalize(sdata)
    model = sh.tl.fit(sdata, models="ridge", slides=TRAIN, progress=False)
    sh.tl.predict_grid(sdata, model, slides=[NEW, OTHER], progress=False)
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
    sh.pl.genes(sdata, GENE, layers="predicted", table_key=f"{NEW}_grid_table", axes=axes[:1])
    for ax, slide in zip(axes[1:], (NEW, OTHER), strict=True):
        sh.pl.out_of_distribution(sdata, table_key=f"{slide}_grid_table", axes=ax)
    figure.savefig(TARGET, dpi=110)
    Image.open(TARGET).convert("RGB").quantize(192).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
