"""Draw the picture of the quickstart: python docs/draw_overview.py.

The prediction of a slide comes from a model that was fitted on the three other patients.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from draw_gallery import keep

import spatialhist as sh
from spatialhist.pl._draw import tissue

TARGET = Path(__file__).parent / "_static" / "overview.jpg"
SLIDE, GENE = "S2", "ERBB2"


def main() -> None:
    # the picture is larger than one of a notebook
    tissue.DETAIL_PX = 1000
    sdata = sh.datasets.synthetic(n_slides=4, n_patients=4, size_px=(1300, 900), depth=6000, seed=1)
    sh.pp.mask_background(sdata)
    sh.pp.realign(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.tl.cross_validate(sdata, models="ridge", genes=40, progress=False)
    _, axes = plt.subplots(1, 3, figsize=(14, 3.6), layout="constrained")
    sh.pl.alignment(sdata, SLIDE, ax=axes[0])
    sh.pl.genes(sdata, GENE, slides=SLIDE, layers=("log1p", "oof"), axes=axes[1:])
    score = axes[2].get_title(loc="left").split(", ")[1].split("\n")[0]
    titles = (
        "H&E: spots as read (orange), realigned (black)",
        f"{GENE}, measured (simulated slide)",
        f"{GENE}, predicted from H&E ({score})",
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left", fontsize=11)
    axes[0].get_legend().remove()
    keep(TARGET)


if __name__ == "__main__":
    main()
