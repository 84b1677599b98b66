"""Counts in square bins that touch, as of Visium HD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spatialhist.datasets._drawing.cells import CELL_TYPES
from spatialhist.datasets._drawing.counts import AMBIENT, SPOT_AREA, TYPICAL, draw_counts_in_field
from spatialhist.datasets._drawing.fields import sample
from spatialhist.datasets._drawing.genes import RNA_CONTENT
from spatialhist.datasets._drawing.scene import Scene, within
from spatialhist.datasets._drawing.slide import Slide
from spatialhist.datasets._drawing.tissue import STEP

_SPREAD = 6.0  # micrometers; RNA fills a cell's body and diffuses around it
_RIM = 16.0  # micrometers around the tissue whose bins are kept, since what finds tissue is not exact
_FINE = 4.0  # micrometers; nuclei are placed on a grid about as fine before their RNA spreads


@dataclass(frozen=True)
class Bins(Slide):
    """Bins in rows; ``row`` and ``column`` say where in the array each of them lies."""

    row: np.ndarray
    column: np.ndarray


def draw_bins(scene: Scene, share: np.ndarray, rng: np.random.Generator) -> Bins:
    """Count the RNA that reaches each bin below the tissue."""
    bin_um = scene.design.bin_um
    nuclei, rna = _on_bins(scene, bin_um)
    centers = np.moveaxis(np.indices(nuclei.shape[:2])[::-1], 0, -1) * bin_um + bin_um / 2
    true_centers = scene.placement.true(centers.reshape(-1, 2)).reshape(centers.shape)
    row, column = np.nonzero(_on_tissue(scene, true_centers))
    xy, true_xy = centers[row, column], true_centers[row, column]
    seen = _with_background(rna[row, column], bin_um, scene.design.signal)
    counts = draw_counts_in_field(seen, true_xy, share, scene.design.depth, rng)
    mpp = scene.design.mpp
    return Bins(scene, xy / mpp, true_xy / mpp, nuclei[row, column], counts, row, column)


def _on_tissue(scene: Scene, centers: np.ndarray) -> np.ndarray:
    points = centers.reshape(-1, 2)
    keep = (sample(scene.tissue.depth, points, STEP) > -_RIM) & within(points, scene.tissue.extent)
    return keep.reshape(centers.shape[:2])


def _on_bins(scene: Scene, bin_um: int) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei, and cells' worth of spread RNA, of each type on the whole array `(rows, columns, cell types)`."""
    per_bin = max(1, round(bin_um / _FINE))
    step = bin_um / per_bin
    columns, rows = (int(length // bin_um) for length in scene.tissue.extent)
    at = np.floor(scene.placement.reported(scene.cells.xy) / step).astype(int)
    placed = np.zeros((rows * per_bin, columns * per_bin, len(CELL_TYPES)), np.float32)
    on = ((at >= 0) & (at < placed.shape[1::-1])).all(axis=1)
    np.add.at(placed, (at[on, 1], at[on, 0], scene.cells.kind[on]), 1)
    spread = ndimage.gaussian_filter(placed, (_SPREAD / step, _SPREAD / step, 0), mode="constant")
    return _pooled(placed, per_bin).astype(np.int64), _pooled(spread, per_bin)


def _pooled(fine: np.ndarray, n: int) -> np.ndarray:
    """Sums over squares of `n` x `n`."""
    rows, columns, kinds = fine.shape
    return fine.reshape(rows // n, n, columns // n, n, kinds).sum(axis=(1, 3))


def _with_background(cells: np.ndarray, bin_um: int, signal: float) -> np.ndarray:
    """RNA of each type in bins: of their cells as far as counts follow them, and what has diffused."""
    typical = TYPICAL * bin_um**2 / SPOT_AREA
    return (signal * cells + (1 - signal + AMBIENT) * typical) * RNA_CONTENT
