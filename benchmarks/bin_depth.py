"""Counts of bins of Visium HD, and of spots that they are pooled to: python benchmarks/bin_depth.py.

A simulated slide on which an area as large as a spot of Visium holds 2,000 counts on average. Prints the table of docs/numbers.md.
"""

from __future__ import annotations

import numpy as np

import spatialhist as sh

SIZES_UM = (16, 24, 32, 55, 100)
SCORED = 50


def main() -> None:
    """One line a size."""
    sdata = sh.datasets.synthetic(n_slides=1, platform="visium_hd", seed=0)
    print("| spots | number | median counts | with 50 counts or more |\n|---|---|---|---|")
    show("bins of 8 µm", sdata["table"])
    for um in SIZES_UM:
        sh.pp.pool_spots(sdata, ("um", um), key_added=f"pooled_{um}")
        show(f"pooled to {um} µm", sdata[f"pooled_{um}"])


def show(name: str, table) -> None:
    """How many spots, how deep."""
    counts = np.asarray(table.X.sum(axis=1)).ravel()
    print(
        f"| {name} | {len(counts):,} | {np.median(counts):,.0f} | {100 * (counts >= SCORED).mean():.0f} % |", flush=True
    )


if __name__ == "__main__":
    main()
