"""Draw the picture of the quickstart: python docs/draw_overview.py.

The prediction of a slide comes from a model that was fitted on the three other patients.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

import spatialhist as sh

TARGET = Path(__file__).parent / "_static" / "overview.png"
SLIDE, GENE = "S2", "ERBB2"


def main() -> None:
    sdata = sh.datasets.synthetic(n_slides=4, n_patients=4, size_px=(1300, 900), depth=6000, seed=1)
    sh.pp.mask_background(sdata)
    sh.pp.realign(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.tl.cross_validate(sdata, models="ridge", genes=40, progress=False)
    _, axes = plt.subplots(1, 3, figsize=(12, 3), layout="constrained")
    sh.pl.alignment(sdata, SLIDE, ax=axes[0])
    sh.pl.genes(sdata, GENE, slides=SLIDE, layers=("log1p", "oof"), axes=axes[1:])
    score = axes[2].get_title(loc="left").split(", ")[1].split("\n")[0]
    titles = ("H&E, spots as read and as realigned", f"{GENE}, measured", f"{GENE}, predicted from H&E ({score})")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left", fontsize=11)
    axes[0].get_legend().remove()
    plt.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
