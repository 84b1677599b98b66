"""Stain normalization against squidpy and torchstain: python benchmarks/stain.py [--data FOLDER] [--store ZARR].

The largest slide is recolored whole, computed and not written, from pixels in memory. The same mask at full
resolution is given to squidpy. torchstain (if installed) normalizes one float copy of a crop; its time is per pixel.
"""

from __future__ import annotations

import importlib.util
import time

import dask
import dask.array as da
import numpy as np
import spatialdata as sd
from _her2st import stored_cohort
from spatialdata.models import Labels2DModel

import spatialhist as sh
from spatialhist._sdata.images import pyramid, tissue_mask
from spatialhist._sdata.pyramids import parse_image
from spatialhist.pp._tissue.masked_blocks import nearest

CROP = 2048
REPEATS = 3


def main() -> None:
    cohort = stored_cohort()
    slide = max(cohort.shapes, key=lambda s: pyramid(cohort, f"{s}_full_image").width)
    sdata = in_memory(cohort, slide)
    key = f"{slide}_full_image"
    mpx = pyramid(sdata, key).width * pyramid(sdata, key).height / 1e6
    print(f"slide {slide}, {mpx:.0f} Mpx, {100 * np.asarray(sdata.labels[f'{key}_tissue']).mean():.0f} % tissue")
    print(
        f"{'method':<9} {'ours Mpx/s':>11} {'squidpy':>8} {'ratio':>6} {'largest difference':>19} {'pixels off by >1':>17}"
    )
    for method in ("macenko", "reinhard"):
        compare(sdata, slide, key, method, mpx)
    if importlib.util.find_spec("torchstain"):
        torchstain_speed(np.asarray(pyramid(sdata, key).levels[0][:, -CROP - 4000 : -4000, 2000 : 2000 + CROP]))


def in_memory(cohort: sd.SpatialData, slide: str) -> sd.SpatialData:
    """One slide with its pixels in memory and its mask at full resolution."""
    sdata = cohort.filter_by_coordinate_system(slide, filter_tables=True)
    sh.pp.mask_background(sdata, slides=slide, fill=False)
    pyr = pyramid(sdata, f"{slide}_full_image")
    mask, factors = tissue_mask(sdata, slide)
    rows = nearest(0, pyr.height, factors[1], mask.shape[0])
    columns = nearest(0, pyr.width, factors[0], mask.shape[1])
    placed = sd.transformations.get_transformation(sdata.images[f"{slide}_full_image"], get_all=True)
    sdata.labels[f"{slide}_full_image_tissue"] = Labels2DModel.parse(
        mask[rows][:, columns].astype(np.uint8), dims=("y", "x"), transformations=placed
    )
    sdata.images[f"{slide}_full_image"] = parse_image(np.asarray(pyr.levels[0]), placed)
    return sdata


def compare(sdata: sd.SpatialData, slide: str, key: str, method: str, mpx: float) -> None:
    import squidpy as sq
    from squidpy.experimental.im import StainReference

    target = sh.pp.StainReference.canonical(method)
    arrays = {k: v for k, v in vars(target).items() if k != "fitted_on"}
    sh.pp.normalize_stain(sdata, slides=slide, method=method, reference=target)
    ours = pyramid(sdata, f"{key}_normalized").levels[0]
    theirs = sq.experimental.im.normalize_stains(sdata, key, StainReference(**arrays), inplace=False).data
    fast, slow = best(ours), best(theirs)
    gap = da.absolute(ours.astype(np.int16) - theirs.rechunk(ours.chunks).astype(np.int16))
    largest, off = dask.compute(gap.max(), (gap > 1).sum())
    print(f"{method:<9} {mpx / fast:11.0f} {mpx / slow:8.0f} {slow / fast:6.1f} {largest:19d} {off:17d}", flush=True)


def best(image: da.Array) -> float:
    """Seconds to compute every block, keeping none."""
    sums = image.map_blocks(lambda b: b[:1, :1, :1], chunks=(1, 1, 1), dtype=image.dtype)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        sums.compute()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def torchstain_speed(crop: np.ndarray) -> None:
    import torch
    import torchstain

    for backend, pixels in (("numpy", np.moveaxis(crop, 0, -1)), ("torch", torch.from_numpy(crop.copy()))):
        normalizer = torchstain.normalizers.MacenkoNormalizer(backend=backend)
        normalizer.fit(pixels)
        start = time.perf_counter()
        normalizer.normalize(I=pixels, stains=False)
        print(f"torchstain {backend}: {crop[0].size / 1e6 / (time.perf_counter() - start):.1f} Mpx/s (fit included)")


if __name__ == "__main__":
    main()
