"""Draw the picture of the page on tiles: python docs/draw_tiles.py [folder of her2st].

Tiles of four sizes around one spot on each of two slides, scanned at different scales.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from draw_gallery import keep
from matplotlib.patches import Rectangle

import spatialhist as sh

TARGET = Path(__file__).parent / "_static" / "tiles.jpg"
EXTENTS_UM = (600, 300, 150, 75)
SLIDES = {"C2": 0.69, "A1": 3.19}
PIXELS = 96
COLORS = ("#0072b2", "#d55e00", "#009e73")


def main(folder: str = "../shared/data/her2st") -> None:
    sdata = sh.io.read_st(folder, slides=list(SLIDES))
    specs = [sh.tiles.TileSpec(("um", um), PIXELS) for um in EXTENTS_UM]
    ds = sh.tiles.TileDataset(sdata, specs)
    region = sdata["table"].obs["region"].to_numpy()[ds.rows]
    _, axes = plt.subplots(2, len(specs), figsize=(9, 5), layout="constrained")
    for row, (slide, mpp) in zip(axes, SLIDES.items(), strict=True):
        for ax, tile, um in zip(row, ds[middle(ds.xy, region == slide)]["tile"], EXTENTS_UM, strict=True):
            draw(ax, tile.numpy(), f"{um} µm ({um / mpp:.0f} px of the scan)")
        row[0].set_ylabel(f"section {slide}, {mpp} µm per pixel", fontsize=9)
        frames(row)
    keep(TARGET)


def middle(xy: np.ndarray, here: np.ndarray) -> int:
    """Position of the spot nearest to the center of some of them."""
    distance = np.linalg.norm(xy - xy[here].mean(axis=0), axis=1)
    return int(np.where(here, distance, np.inf).argmin())


def draw(ax: plt.Axes, tile: np.ndarray, title: str) -> None:
    ax.imshow(np.moveaxis(tile, 0, -1), interpolation="nearest")
    ax.set_title(title, fontsize=9, loc="left")
    ax.set(xticks=[], yticks=[])


def frames(row: np.ndarray) -> None:
    """Show on the largest tile what the smaller ones cover."""
    for ax, um, color in zip(row[1:], EXTENTS_UM[1:], COLORS, strict=True):
        side = PIXELS * um / EXTENTS_UM[0]
        corner = (PIXELS - side) / 2 - 0.5
        row[0].add_patch(Rectangle((corner, corner), side, side, fill=False, edgecolor=color, linewidth=1.8))
        ax.spines[:].set(color=color, linewidth=2.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
