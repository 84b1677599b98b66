"""Everything of a tissue but its nuclei, as amounts of dye on a grid: fibers, cytoplasm, fat, lumens, blood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from spatialhist.datasets._drawing.fields import Field, interpolate, oriented_noise, smooth_noise
from spatialhist.datasets._drawing.tissue import STEP, Rings, Tissue, wall_distance

FINEST = 1.5  # micrometers; below this only nuclei and grain gain detail


@dataclass(frozen=True)
class Structure:
    """Amounts of hematoxylin, eosin and blood on a grid of `step` micrometers; `inside` is 1 on tissue, 0 on glass."""

    step: float
    hematoxylin: Field
    eosin: Field
    blood: Field
    inside: Field
    fold: Field


def draw_structure(tissue: Tissue, mpp: float, rng: np.random.Generator) -> Structure:
    """Draw the tissue's background at `mpp`, or at `FINEST` where that is coarser."""
    step = max(mpp, FINEST)
    columns, rows = (np.arange(int(np.ceil(length / step)) + 2) * step for length in tissue.extent)

    def at(field: Field) -> Field:
        return interpolate(field, rows / STEP, columns / STEP)

    tumor, immune, necrosis = at(tissue.tumor), at(tissue.immune), at(tissue.necrosis)
    fibers = oriented_noise(_nearest(tissue.angle, rows, columns), 2 * round(30 / step) + 1, 1.3 / step, rng)
    speckle = smooth_noise(fibers.shape, 2.5 / step, rng)
    cloud = smooth_noise(fibers.shape, 40 / step, rng)
    stroma = np.clip(0.36 + 0.09 * fibers + 0.05 * cloud, 0.02, None) * (1 - 0.4 * immune)
    stroma *= np.clip((fibers + 2.1) / 0.4, 0.15, 1)
    nest = np.clip(0.17 + 0.05 * speckle + 0.03 * cloud, 0, None)
    dead = np.clip(0.60 + 0.12 * speckle, 0, None)
    eosin = stroma * (1 - tumor) + nest * tumor
    eosin += (dead - eosin) * necrosis
    hematoxylin = 0.04 + 0.07 * tumor + 0.08 * immune + 0.05 * necrosis * np.clip(speckle, 0, None)
    structure = Structure(
        step=step,
        hematoxylin=hematoxylin.astype(np.float32),
        eosin=eosin.astype(np.float32),
        blood=np.zeros_like(eosin),
        inside=np.clip(at(tissue.depth) / 4 + 0.5, 0, 1),
        fold=at(tissue.fold),
    )
    _empty(structure, _vacuoles(tissue, rows, columns))
    _draw_rings(structure, tissue.rings, speckle)
    return structure


def _nearest(angle: Field, rows: np.ndarray, columns: np.ndarray) -> Field:
    i = np.minimum(np.round(rows / STEP).astype(np.intp), angle.shape[0] - 1)
    j = np.minimum(np.round(columns / STEP).astype(np.intp), angle.shape[1] - 1)
    return angle[np.ix_(i, j)]


def _vacuoles(tissue: Tissue, rows: np.ndarray, columns: np.ndarray) -> Field:
    """1 inside fat cells, which meet at thin walls."""
    empty = np.zeros((len(rows), len(columns)), np.float32)
    near = ndimage.binary_dilation(tissue.fat > 0.3, iterations=4)
    i, j = np.nonzero(interpolate(near.astype(np.float32), rows / STEP, columns / STEP) > 0)
    wall = wall_distance(tissue.vacuoles, np.column_stack([columns[j], rows[i]]))
    empty[i, j] = np.clip((wall - 1.2) / 1.5, 0, 1)
    return empty


def _empty(structure: Structure, share: Field) -> None:
    structure.eosin[:] *= 1 - share
    structure.hematoxylin[:] *= 1 - share


def _draw_rings(structure: Structure, rings: Rings, speckle: Field) -> None:
    for i in range(len(rings.xy)):
        window = _window(structure, rings.xy[i], 1.6 * rings.radius[i])
        level, radius = _ring_level(structure, rings, i, window)
        soft = structure.step / radius
        wall = np.clip((1 - level) / soft + 0.5, 0, 1)
        lumen = np.clip((rings.inner[i] - level) / soft + 0.5, 0, 1)
        membrane = np.clip(1 - np.abs(level - 1) * radius / 4, 0, 1)
        eosin, hematoxylin = structure.eosin[window], structure.hematoxylin[window]
        cytoplasm = 0.42 + 0.04 * speckle[window]
        eosin += (cytoplasm - eosin) * wall + 0.18 * membrane
        hematoxylin += (0.14 * ~rings.vessel[i] - hematoxylin) * wall
        eosin *= 1 - 0.97 * lumen
        hematoxylin *= 1 - lumen
        if rings.vessel[i] and i % 3:
            structure.blood[window] += 0.75 * lumen * np.clip(0.7 + 0.5 * speckle[window], 0, 1.2)


def _window(structure: Structure, xy: np.ndarray, reach: float) -> tuple[slice, slice]:
    low = np.maximum(np.floor((xy - reach) / structure.step).astype(int), 0)
    high = np.maximum(np.ceil((xy + reach) / structure.step).astype(int), low + 1)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _ring_level(structure: Structure, rings: Rings, i: int, window: tuple[slice, slice]) -> tuple[Field, float]:
    """Distance to the center of ring `i` as a share of its outline in that direction."""
    shape = structure.eosin[window].shape
    dy = (np.arange(shape[0]) + window[0].start)[:, None] * structure.step - rings.xy[i, 1]
    dx = (np.arange(shape[1]) + window[1].start)[None, :] * structure.step - rings.xy[i, 0]
    level = np.hypot(dx, dy) / rings.outline(i, np.arctan2(dy, dx))
    return level.astype(np.float32), float(rings.radius[i])
