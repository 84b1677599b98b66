"""Draw the picture of the README: python docs/draw_overview.py."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

import spatialhist as sh

TARGET = Path(__file__).parent / "_static" / "overview.png"
SLIDE, GENE = "S1", "ERBB2"


def main() -> None:
    sdata = sh.datasets.synthetic(n_slides=4, n_patients=4, seed=0)
    sh.pp.mask_background(sdata)
    sh.pp.realign(sdata)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.tl.cross_validate(sdata, models="ridge", genes=40, progress=False)
    _, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    sh.pl.alignment(sdata, SLIDE, ax=axes[0])
    sh.pl.genes(sdata, GENE, slides=SLIDE, layers=("log1p", "oof"), axes=axes[1:])
    for ax, title in zip(axes, ("H&E and spots", f"{GENE}, measured", f"{GENE}, predicted"), strict=True):
        ax.set_title(title, loc="left", fontsize=11)
    axes[0].get_legend().remove()
    plt.savefig(TARGET, dpi=150)


if __name__ == "__main__":
    main()
