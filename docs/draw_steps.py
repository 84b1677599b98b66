"""Draw the pictures of the steps from real slides: python docs/draw_steps.py [--data FOLDER] [--store ZARR].

The slides are sections of her2st (Andersson et al. 2021, CC BY 4.0).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_overview, tissue_mask

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _her2st import stored_cohort

TARGET = Path(__file__).parent / "_static"
SLIDE = "A1"
SIZE_PX = 1100


def main() -> None:
    sdata = stored_cohort().filter_by_coordinate_system(SLIDE, filter_tables=True)
    sdata.attrs["spatialhist"]["slides"][SLIDE].pop("alignment", None)
    sh.pp.mask_background(sdata, fill=False)
    draw_tissue(sdata)
    draw_stain(sdata)
    draw_realign(sdata)
    draw_spots(sdata)


def save(name: str) -> None:
    plt.savefig(TARGET / f"{name}.png", dpi=70)
    plt.close()


def draw_tissue(sdata) -> None:
    pixels, _ = read_overview(pyramid(sdata, f"{SLIDE}_full_image"), SIZE_PX)
    _, ax = plt.subplots(figsize=(5, 5), layout="constrained")
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
    """What ranks, smoothing and the graph make of one gene."""
    sh.pp.filter_spots(sdata)
    sh.pp.log_normalize(sdata)
    sh.pp.rank_expression(sdata, layer="log1p")
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="ranks")
    _, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    sh.pl.genes(sdata, "ERBB2", slides=SLIDE, layers=("log1p", "ranks", "ranks_smooth"), axes=axes)
    save("step_spots")


if __name__ == "__main__":
    main()
