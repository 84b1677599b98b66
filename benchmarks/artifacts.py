"""Artifacts that were put into slides: python benchmarks/artifacts.py [--data FOLDER] [--store ZARR].

Per slide: spots flagged as it is; share of spots found, and share of the other spots flagged, where the right third is
blurred (Gaussian, in micrometers), where a band of a tenth is folded (its own mirror image absorbs once more; found are
spots that have tissue twice), and where a band is inked.
"""

from __future__ import annotations

import time

import numpy as np
from _her2st import stored_cohort
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

import spatialhist as sh
from spatialhist import _keys
from spatialhist._sdata.images import pyramid
from spatialhist._sdata.scale import scale

BLURS_UM = (2.0, 4.0, 8.0)
INK = (30, 120, 60)
FOLD = (0.4, 0.5)


def main() -> None:
    sdata = stored_cohort()
    columns = [f"blur {um:g} um" for um in BLURS_UM] + ["fold", "ink"]
    print(
        f"{'slide':<6} {'cpu s':>5} {'ink':>4} {'blur':>4} {'fold':>4}",
        *(f"{c + ': found, else':>22}" for c in columns),
    )
    for slide in sdata.shapes:
        one = sdata.filter_by_coordinate_system(slide, filter_tables=True)
        start = time.process_time()
        sh.pp.flag_artifacts(one)
        seconds = time.process_time() - start
        clean = one["table"].obs[list(_keys.ARTIFACTS)].copy()
        mpp, x = scale(one, slide).mpp, one["table"].obsm["spatial"][:, 0]
        pixels = np.asarray(pyramid(one, _keys.image(slide)).levels[0])
        left, right = np.quantile(x, [0.4, 0.67])
        cells = [measure(one, slide, blurred(pixels, right, um / mpp), "blur", x > right) for um in BLURS_UM]
        band = (x > left) & (x < right)
        fold = np.quantile(x, FOLD)
        cells.append(measure(one, slide, folded(pixels, *fold), "fold", doubled(one["table"].obsm["spatial"], *fold)))
        cells.append(measure(one, slide, inked(pixels, left, right), "ink", band))
        print(
            f"{slide:<6} {seconds:5.1f}",
            *(f"{n:4d}" for n in clean.sum()),
            *(f"{a:15.2f} {b:6.2f}" for a, b in cells),
            flush=True,
        )


def measure(one, slide: str, pixels: np.ndarray, flag: str, there: np.ndarray) -> tuple[float, float]:
    broken = sh.io.from_arrays(
        pixels, one["table"].obsm["spatial"], one["table"].X, slide=slide, mpp=scale(one, slide).mpp,
        spot_diameter_px=scale(one, slide).spot_diameter_px,
    )  # fmt: skip
    sh.pp.flag_artifacts(broken)
    flags = broken["table"].obs[flag].to_numpy()
    return flags[there].mean(), flags[~there].mean()


def doubled(xy: np.ndarray, left: float, right: float) -> np.ndarray:
    """Spots of a band whose mirror image in it lies on tissue: near another spot."""
    mirrored = cKDTree(xy).query(np.column_stack([left + right - xy[:, 0], xy[:, 1]]))[0]
    pitch = np.median(cKDTree(xy).query(xy, k=2)[0][:, 1])
    return (xy[:, 0] > left) & (xy[:, 0] < right) & (mirrored < 0.75 * pitch)


def blurred(pixels: np.ndarray, left: float, sigma: float) -> np.ndarray:
    out = pixels.copy()
    out[:, :, int(left) :] = ndi.gaussian_filter(pixels[:, :, int(left) :], (0, sigma, sigma))
    return out


def folded(pixels: np.ndarray, left: float, right: float) -> np.ndarray:
    out, band = pixels.copy(), slice(int(left), int(right))
    under = pixels[:, :, band][:, :, ::-1].astype(np.float32) / 255
    out[:, :, band] = (pixels[:, :, band] * under).astype(np.uint8)
    return out


def inked(pixels: np.ndarray, left: float, right: float) -> np.ndarray:
    out, band = pixels.copy(), slice(int(left), int(right))
    out[:, :, band] = (pixels[:, :, band] * (np.array(INK, np.float32) / 255)[:, None, None]).astype(np.uint8)
    return out


if __name__ == "__main__":
    main()
