"""Draw the pictures of the steps from real slides: python docs/draw_steps.py [--data FOLDER] [--store ZARR].

The slides are sections of her2st (Andersson et al. 2021, CC BY 4.0).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from draw_gallery import keep

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.images import pyramid
from spatialhist._sdata.scale import scale
from spatialhist.pl._draw import tissue
from spatialhist.pl._draw.style import CYCLE, FONT, picture, scale_bar

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import artifacts
from _her2st import stored_cohort

TARGET = Path(__file__).parent / "_static"
SLIDE, DETAILED = "A1", "C2"
"""A small slide on white, and one of ten thousand pixels with its glass."""
GENE = "COL1A1"


def main() -> None:
    # these pictures are larger than those of a notebook
    tissue.OVERVIEW_PX = tissue.DETAIL_PX = 1600
    cohort = stored_cohort()
    detailed = cohort.filter_by_coordinate_system(DETAILED, filter_tables=True)
    sh.pp.mask_background(detailed, fill=False)
    draw_tissue(detailed)
    draw_stain(detailed)
    sdata = cohort.filter_by_coordinate_system(SLIDE, filter_tables=True)
    sdata.attrs["spatialhist"]["slides"][SLIDE].pop("alignment", None)
    sh.pp.mask_background(sdata, fill=False)
    draw_realign(sdata)
    draw_spots(sdata)
    draw_expression(sdata)


def draw_tissue(sdata) -> None:
    slide = open_cohort(sdata).slide(DETAILED)
    _, ax = plt.subplots(figsize=(8, 7), layout="constrained")
    tissue.draw_overview(ax, slide.image())
    tissue.draw_outline(ax, slide, "black")
    picture(ax, f"Section {DETAILED} with the outline of its tissue mask")
    scale_bar(ax, slide.scale.mpp)
    keep(TARGET / "step_tissue.jpg")


def draw_stain(sdata) -> None:
    sh.pp.normalize_stain(sdata)
    sh.pl.stain(sdata, DETAILED)
    keep(TARGET / "step_stain.jpg")


def draw_realign(sdata) -> None:
    """The spots are moved away by hand, as a wrong export would."""
    from spatialhist._sdata.geometry import spot_centers

    xy = spot_centers(sdata, sdata["table"], SLIDE) + [130, -90]
    image = np.asarray(pyramid(sdata, f"{SLIDE}_full_image").levels[0])
    wrong = sh.io.from_arrays(image, xy, sdata["table"].X, slide=SLIDE, mpp=3.2)
    sh.pp.realign(wrong)
    _, ax = plt.subplots(figsize=(8, 6), layout="constrained")
    sh.pl.alignment(wrong, SLIDE, ax=ax)
    keep(TARGET / "step_realign.jpg")


def draw_spots(sdata) -> None:
    """Spots by the reason not to use them, and by the defects that are put into a copy of the slide."""
    sh.pp.filter_spots(sdata, drop=False, max_mads=3)
    reasons = sdata["table"].obs["spot_qc"].to_numpy()
    xy, mpp = sdata["table"].obsm["spatial"], scale(sdata, SLIDE).mpp
    pixels = np.asarray(pyramid(sdata, f"{SLIDE}_full_image").levels[0])
    left, middle, right, end = np.quantile(xy[:, 0], [0.15, 0.4, 0.5, 0.75])
    broken = artifacts.inked(pixels, left, left + 250)
    broken = artifacts.blurred(artifacts.folded(broken, middle, right), end, 8 / mpp)
    wrong = sh.io.from_arrays(broken, xy, sdata["table"].X, slide=SLIDE, mpp=mpp)
    sh.pp.flag_artifacts(wrong)
    flags = wrong["table"].obs[["ink", "fold", "blur"]]
    named = np.where(flags.any(axis=1), flags.idxmax(axis=1), "none")
    _, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    scatter_classes(axes[0], sdata, reasons, "filter_spots(max_mads=3)")
    scatter_classes(axes[1], wrong, named, "flag_artifacts, with ink, a fold and blur added to the image")
    keep(TARGET / "step_spots.jpg")


def scatter_classes(ax, sdata, classes: np.ndarray, title: str) -> None:
    xy = show_slide(ax, sdata, title)
    names = sorted(set(classes), key=lambda c: (c not in ("ok", "none"), c))
    for color, name in zip(("black", *CYCLE[1:4]), names, strict=False):
        x, y = xy[classes == name].T
        ax.scatter(x, y, s=20, facecolors="none" if color == "black" else color, edgecolors=color, label=name)
    ax.legend(fontsize=FONT, loc="upper left", bbox_to_anchor=(0, 0), ncols=4, frameon=False, borderpad=0)


def show_slide(ax, sdata, title: str) -> np.ndarray:
    """Draw the slide around its spots, and return these."""
    slide = open_cohort(sdata).slide(SLIDE)
    left, top, right, bottom = tissue.window_of(slide.xy, 2 * slide.spot_diameter_px)
    # no spot is under the scale bar
    window = (left, top, right, bottom + 3 * slide.spot_diameter_px)
    tissue.draw_detail(ax, slide.image(), window)
    ax.images[-1].set_alpha(0.6)
    picture(ax, title)
    tissue.fit_view(ax, window)
    scale_bar(ax, slide.scale.mpp)
    return slide.xy


def draw_expression(sdata) -> None:
    """What ranks, smoothing and the graph make of one gene."""
    sh.pp.log_normalize(sdata)
    sh.pp.rank_expression(sdata, layer="log1p", scale="normal")
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="ranks")
    table = sdata["table"]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), layout="constrained")
    shown = {
        "log1p": ("log counts", "log1p(CP10k)"),
        "ranks": ("ranks within each spot", "normal score"),
        "ranks_smooth": ("the ranks, smoothed", "normal score"),
    }
    for ax, (layer, (words, unit)) in zip(axes, shown.items(), strict=True):
        xy = show_slide(ax, sdata, f"{GENE}, measured: {words}")
        values = np.asarray(table[:, GENE].to_df(layer)).ravel()
        dots = ax.scatter(*xy.T, c=values, s=30)
        figure.colorbar(dots, ax=ax, orientation="horizontal", shrink=0.7, aspect=35, label=unit)
    keep(TARGET / "step_expression.jpg")


if __name__ == "__main__":
    main()
