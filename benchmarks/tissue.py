"""Tissue masks on her2st: python benchmarks/tissue.py [--data FOLDER] [--store ZARR].

Per slide and method: share of the published in-tissue spots whose disc is at least half tissue, share of the area
farther than 1.5 spot spacings from any of them that is called tissue, and processor seconds on the stored slide, the better
of two runs.
"""

from __future__ import annotations

import time

import numpy as np
from _her2st import stored_cohort
from scipy.spatial import cKDTree

from spatialhist._sdata.cohort import get_slide
from spatialhist._sdata.geometry import spot_centers
from spatialhist._sdata.images import image_key, pyramid
from spatialhist._sdata.scale import scale
from spatialhist.pp._tissue.find import find_tissue

METHODS = ("density", "otsu", "felzenszwalb")
FAR = 1.5


def main() -> None:
    sdata = stored_cohort()
    find_tissue(get_slide(sdata, list(sdata.shapes)[0]), "otsu")  # loads squidpy
    print(f"{'slide':<6} {'Mpx':>4}", *(f"{m + ': on':>17} {'far %':>6} {'cpu s':>5}" for m in METHODS))
    for slide in sdata.shapes:
        pyr = pyramid(sdata, image_key(sdata, slide))
        cells = [f"{on:17.3f} {100 * far:6.2f} {s:5.2f}" for on, far, s in (measure(sdata, slide, m) for m in METHODS)]
        print(f"{slide:<6} {pyr.width * pyr.height / 1e6:4.0f}", *cells, flush=True)


def measure(sdata, slide: str, method: str) -> tuple[float, float, float]:
    seconds = np.inf
    for _ in range(2):
        start = time.process_time()
        mask = find_tissue(get_slide(sdata, slide), method)
        seconds = min(seconds, time.process_time() - start)
    pyr, known = pyramid(sdata, image_key(sdata, slide)), scale(sdata, slide)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    pixels = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5]) * [pyr.width / x.shape[1], pyr.height / x.shape[0]]
    centers = spot_centers(sdata, sdata["table"], slide)
    distance, nearest = cKDTree(centers).query(pixels)
    inside = distance < known.spot_diameter_px / 2
    tissue = mask.ravel()
    share = np.bincount(nearest[inside], tissue[inside], len(centers)) / np.bincount(
        nearest[inside], minlength=len(centers)
    )
    return float((share >= 0.5).mean()), float(tissue[distance > FAR * known.pitch_px].mean()), seconds


if __name__ == "__main__":
    main()
