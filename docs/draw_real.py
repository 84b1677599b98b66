"""Draw the picture of the README: python docs/draw_real.py --data FOLDER --store her2st.zarr.

Four adjacent sections of one breast cancer (her2st, patient C), one held out: the default models and their stack were trained on
the three others. Shown are the gene that is predicted best of those that are called reliable, and the gene in the middle of
all, on one section; both are chosen by the scores of the table, not by how the picture looks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt

import spatialhist as sh

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from _her2st import read_cohort, take_features
from draw_gallery import keep

TARGET = Path(__file__).parent / "_static" / "real_tissue.png"
SECTIONS, SLIDE = ["C2", "C3", "C4", "C5"], "C3"


def main() -> None:
    """Train, score and draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    sdata = read_cohort(args.data, args.store)
    sh.pp.mask_background(sdata, fill=False)
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.pp.spot_distances(sdata)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        take_features(args.store.parent / "features", out)
        stack = sh.tl.stack(
            sdata, sh.tl.cross_validate(sdata, slides=SECTIONS, groups="slide", out=out, progress=False)
        )
        scores = sh.tl.evaluate(sdata)
        verdicts = sh.tl.gene_reliability(stack)
    print(sh.tl.summarize(scores).round(3).to_string())
    draw(sdata, chosen_genes(scores, verdicts))


def chosen_genes(scores, verdicts) -> list[str]:
    """The best of the reliable genes, and the one in the middle of all, by their mean over the sections."""
    own = scores[(scores["predictor"] == "stack_nnls") & (scores["metric"] == "pearson")]
    mean = own.groupby("target")["value"].mean().dropna().sort_values()
    print(verdicts.to_string())
    reliable = [g for g in mean.index if verdicts.loc[g, "verdict"] == "reliable"]
    return [(reliable or list(mean.index))[-1], mean.index[len(mean) // 2]]


def draw(sdata, genes: list[str]) -> None:
    """H&E, and each gene as measured and as predicted."""
    _, axes = plt.subplots(1, 5, figsize=(17, 3.4), layout="constrained")
    thumbnail = sdata["table"].uns["spatial"][SLIDE]["images"]["hires"]
    axes[0].imshow(thumbnail)
    axes[0].set_axis_off()
    axes[0].set_title(f"H&E, section {SLIDE}", loc="left", fontsize=10)
    for gene, pair in zip(genes, (axes[1:3], axes[3:5]), strict=True):
        sh.pl.genes(sdata, gene, slides=SLIDE, layers=("log1p", "oof"), axes=pair)
    axes[0].set(xlim=axes[1].get_xlim(), ylim=axes[1].get_ylim())
    keep(TARGET)


if __name__ == "__main__":
    main()
