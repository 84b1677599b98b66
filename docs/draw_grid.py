"""Draw docs/_static/grid.jpg: python docs/draw_grid.py [--data FOLDER] [--store ZARR]."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from draw_gallery import keep

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.pl._draw.panels import draw_pictures
from spatialhist.pl._draw.style import FONT

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from _her2st import stored_cohort

TARGET = Path(__file__).parent / "_static" / "grid.jpg"
TRAIN, NEW, OTHER = ["C2", "C3", "C4"], "C5", "B4"
GENE = "ERBB2"


def main() -> None:
    sdata = stored_cohort()
    sh.pp.mask_background(sdata, slides=[*TRAIN, NEW, OTHER], fill=False)
    sh.pp.log_normalize(sdata)
    model = sh.tl.fit(sdata, models="ridge", slides=TRAIN, progress=False)
    sh.tl.predict_grid(sdata, model, slides=[NEW, OTHER], progress=False)
    new, other = (open_cohort(sdata, table_key=f"{s}_grid_table").every_slide()[0] for s in (NEW, OTHER))
    shown = [new, new, new, other]
    # as wide as the tissue, so that all panels are equally high
    figure, axes = plt.subplots(
        1, 4, figsize=(15, 4.2), layout="constrained", width_ratios=[np.divide(*np.ptp(s.xy, axis=0)) for s in shown]
    )
    draw_pictures(axes[:1], [new])
    sh.pl.genes(sdata, GENE, layers="predicted", table_key=f"{NEW}_grid_table", axes=axes[1:2])
    for ax, slide in zip(axes[2:], (NEW, OTHER), strict=True):
        sh.pl.out_of_distribution(sdata, table_key=f"{slide}_grid_table", axes=ax)
    shares = [ax.get_title(loc="left").split("\n")[1] for ax in axes[2:]]
    titles = [
        f"{NEW}\nH&E",
        f"{NEW}\n{GENE}, predicted",
        f"{NEW}\nout of distribution, {shares[0]}",
        f"{OTHER}, another patient\nout of distribution, {shares[1]}",
    ]
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left", fontsize=FONT + 2)
    for ax in axes[1:]:
        ax.collections[0].colorbar.remove()
    # a bar under each half, so that all panels stand at one height
    add_bar(figure, axes[1], axes[:2], "log1p(CP10k)")
    add_bar(figure, axes[2], axes[2:], "out-of-distribution score")
    keep(TARGET)


def add_bar(figure, drawn, axes, label: str) -> None:
    """One color bar below some panels, of the dots of one of them."""
    bar = figure.colorbar(drawn.collections[0], ax=list(axes), orientation="horizontal", shrink=0.6, aspect=40)
    bar.set_label(label, fontsize=FONT + 1)


if __name__ == "__main__":
    main()
