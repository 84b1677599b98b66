"""Draw the pictures of the steps from real slides: python docs/draw_steps.py [--data FOLDER] [--store ZARR].

The slides are sections of her2st (Andersson et al. 2021, CC BY 4.0).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import spatialhist as sh
from spatialhist._sdata.scale import scale
from spatialhist._sdata.images import pyramid, read_overview, tissue_mask
from spatialhist.pl._draw.style import CYCLE

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import artifacts
from _her2st import stored_cohort

TARGET = Path(__file__).parent / "_static"
SLIDE = "A1"
SIZE_PX = 1100
GENE = "COL1A1"


def main() -> None:
    sdata = stored_cohort().filter_by_coordinate_system(SLIDE, filter_tables=True)
    sdata.attrs["spatialhist"]["slides"][SLIDE].pop("alignment", None)
    sh.pp.mask_background(sdata, fill=False)
    draw_tissue(sdata)
    draw_stain(sdata)
    draw_realign(sdata)
    draw_spots(sdata)
    draw_expression(sdata)


def save(name: str) -> None:
    path = TARGET / f"{name}.png"
    plt.savefig(path, dpi=100)
    plt.close()
    Image.open(path).convert("RGB").quantize(192).save(path, optimize=True)


def draw_tissue(sdata) -> None:
    pixels, _ = read_overview(pyramid(sdata, f"{SLIDE}_full_image"), SIZE_PX)
    _, ax = plt.subplots(figsize=(5, 3.8), layout="constrained")
    ax.imshow(pixels)
    mask, _ = tissue_mask(sdata, SLIDE)
    ax.contour(mask, levels=[0.5], colors="black", linewidths=1, extent=(0, pixels.shape[1], 0, pixels.shape[0]))
    ax.set_axis_off()
    save("step_tissue")


def draw_stain(sdata) -> None:
    sh.pp.normalize_stain(sdata)
    sh.pl.stain(sdata, SLIDE)
    save("step_stain")


def draw_realign(sdata) -> None:
    """The spots are moved away by hand, as a wrong export would."""
    from spatialhist._sdata.geometry import spot_centers

    xy = spot_centers(sdata, sdata["table"], SLIDE) + [130, -90]
    image = np.asarray(pyramid(sdata, f"{SLIDE}_full_image").levels[0])
    wrong = sh.io.from_arrays(image, xy, sdata["table"].X, slide=SLIDE, mpp=3.2)
    sh.pp.realign(wrong)
    _, ax = plt.subplots(figsize=(5, 5), layout="constrained")
    sh.pl.alignment(wrong, SLIDE, ax=ax)
    save("step_realign")


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
    sh.pp.flag_artefacts(wrong)
    flags = wrong["table"].obs[["ink", "fold", "blur"]]
    named = np.where(flags.any(axis=1), flags.idxmax(axis=1), "none")
    _, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    scatter_classes(axes[0], sdata, reasons, "filter_spots(max_mads=3)")
    scatter_classes(axes[1], wrong, named, "flag_artefacts, defects put in")
    save("step_spots")


def scatter_classes(ax, sdata, classes: np.ndarray, title: str) -> None:
    xy = show_slide(ax, sdata, title)
    names = sorted(set(classes), key=lambda c: (c not in ("ok", "none"), c))
    for color, name in zip(("black", *CYCLE[1:4]), names, strict=False):
        x, y = xy[classes == name].T
        ax.scatter(x, y, s=14, facecolors="none" if color == "black" else color, edgecolors=color, label=name)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, 0), ncols=4, frameon=False)


def show_slide(ax, sdata, title: str) -> np.ndarray:
    """Draw the slide around its spots, and return them in the picture's coordinates."""
    pixels, factors = read_overview(pyramid(sdata, f"{SLIDE}_full_image"), SIZE_PX)
    xy = sdata["table"].obsm["spatial"] / factors
    ax.imshow(pixels, alpha=0.6)
    ax.set(xlim=(xy[:, 0].min() - 40, xy[:, 0].max() + 40), ylim=(xy[:, 1].max() + 40, xy[:, 1].min() - 40))
    ax.set_title(title, fontsize=9, loc="left")
    ax.set_axis_off()
    return xy


def draw_expression(sdata) -> None:
    """What ranks, smoothing and the graph make of one gene."""
    sh.pp.log_normalize(sdata)
    sh.pp.rank_expression(sdata, layer="log1p", scale="normal")
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="ranks")
    table = sdata["table"]
    _, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    units = {"log1p": "log1p(CP10k)", "ranks": "normal score of the rank", "ranks_smooth": "the same, smoothed"}
    for ax, (layer, unit) in zip(axes, units.items(), strict=True):
        xy = show_slide(ax, sdata, f"{GENE}, {layer}")
        values = np.asarray(table[:, GENE].to_df(layer)).ravel()
        plt.colorbar(ax.scatter(*xy.T, c=values, s=22), ax=ax, shrink=0.8, label=unit)
    save("step_expression")


if __name__ == "__main__":
    main()
