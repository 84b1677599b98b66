"""Grids on her2st: python benchmarks/grid.py [--data FOLDER] [--store ZARR].

A model fitted on C2-C4 predicts C5 at its spots, and on lattices laid on C5 without its table. Printed: within-slide
Pearson with the measurements (spots of 50 counts or more, mean over genes) of what is predicted at the spots and of what
is interpolated there from the lattice, and the correlation of the two.
"""

from __future__ import annotations

import time

import numpy as np
import spatialdata as sd
from _her2st import stored_cohort
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

import spatialhist as sh
from spatialhist import metrics
from spatialhist._sdata.scale import slide_info

TRAIN, TEST = ["C2", "C3", "C4"], "C5"
SPACINGS = {"default": None, "spacing of training": ("pitch", 1.0), "a quarter of it": ("pitch", 0.25)}


def main() -> None:
    sdata = stored_cohort()
    sh.pp.mask_background(sdata, slides=[*TRAIN, TEST], fill=False)
    sh.pp.filter_spots(sdata, slides=TRAIN)
    sh.pp.log_normalize(sdata)
    model = sh.tl.fit(sdata, slides=TRAIN, progress=False)
    sh.tl.predict(sdata, model, slides=TEST, progress=False)
    every = sdata["table"][(sdata["table"].obs["region"] == TEST).to_numpy()]
    table, deep = every[:, model.genes], np.asarray(every.X.sum(axis=1)).ravel() >= 50
    truth, direct = (_dense(table.layers[k])[deep] for k in ("log1p", "predicted"))
    print(f"at the spots: {_score(truth, direct):.4f}")
    for name, spacing in SPACINGS.items():
        bare, start = without_spots(sdata, TEST), time.perf_counter()
        sh.tl.predict_grid(bare, model, spacing=spacing, progress=False)
        seconds, grid = time.perf_counter() - start, bare[f"{TEST}_grid_table"]
        there = interpolate(grid.obsm["spatial"], grid.layers["predicted"], table.obsm["spatial"][deep])
        print(
            f"spacing {name:12} {len(grid):6} spots: {_score(truth, there):.4f}, "
            f"r with the spots' own {_score(direct, there):.3f}, {len(grid) / seconds:.0f} spots/s"
        )


def without_spots(sdata: sd.SpatialData, slide: str) -> sd.SpatialData:
    """Image, mask and micrometers of one slide."""
    full = f"{slide}_full_image"
    bare = sd.SpatialData.init_from_elements({full: sdata[full], f"{full}_tissue": sdata[f"{full}_tissue"]})
    slide_info(bare, slide)["mpp"] = slide_info(sdata, slide)["mpp"]
    return bare


def interpolate(points: np.ndarray, values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Linearly between points; the nearest point's value outside of them."""
    found = LinearNDInterpolator(points, values)(where)
    return np.where(np.isnan(found), NearestNDInterpolator(points, values)(where), found)


def _score(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.nanmean(metrics.pearson(truth, predicted)))


def _dense(values) -> np.ndarray:
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)


if __name__ == "__main__":
    main()
