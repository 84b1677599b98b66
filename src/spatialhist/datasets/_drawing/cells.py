"""The cells of a tissue: positions, kinds and shapes of nuclei, in micrometers."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.fields import Field, sample
from spatialhist.datasets._drawing.lattice import jittered_lattice
from spatialhist.datasets._drawing.tissue import STEP, Rings, Tissue, wall_distance

CELL_TYPES = ("tumor", "epithelial", "fibroblast", "lymphocyte", "endothelial", "adipocyte")
TUMOR, EPITHELIAL, FIBROBLAST, LYMPHOCYTE, ENDOTHELIAL, ADIPOCYTE = range(len(CELL_TYPES))

# long and short half axis of the nucleus in micrometers, spread of its size, amount of hematoxylin
_SHAPE = np.array(
    [
        (4.6, 3.7, 0.22, 0.85),
        (4.6, 2.9, 0.10, 0.95),
        (6.5, 1.6, 0.20, 0.95),
        (2.9, 2.7, 0.08, 1.35),
        (5.0, 1.4, 0.12, 1.05),
        (3.6, 1.2, 0.10, 1.00),
    ]
)


@dataclass(frozen=True)
class Cells:
    """Nuclei as ellipses: center, kind (index into `CELL_TYPES`), direction and half axes, amount of stain."""

    xy: np.ndarray
    kind: np.ndarray
    angle: np.ndarray
    axes: np.ndarray
    stain: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, index: np.ndarray) -> Cells:
        return Cells(*(getattr(self, f.name)[index] for f in fields(self)))


def draw_cells(tissue: Tissue, rng: np.random.Generator) -> Cells:
    """Fill the tissue with cells that do not overlap much."""
    groups = [
        (EPITHELIAL, *_on_rings(tissue.rings, ~tissue.rings.vessel, 7.0, rng)),
        (ENDOTHELIAL, *_on_rings(tissue.rings, tissue.rings.vessel, 13.0, rng)),
        (ADIPOCYTE, *_adipocytes(tissue, rng)),
        (LYMPHOCYTE, *_in_field(tissue, _lymphocytes(tissue), 7.0, rng)),
        (TUMOR, *_in_field(tissue, 0.95 * tissue.tumor * (1 - tissue.necrosis), 10.5, rng)),
        (FIBROBLAST, *_along_fibers(tissue, rng)),
    ]
    kind = np.concatenate([np.full(len(xy), k) for k, xy, _ in groups])
    xy, angle = (np.concatenate([g[i] for g in groups]) for i in (1, 2))
    keep = _free(xy, kind, tissue)
    return _shaped(xy[keep], kind[keep], angle[keep], rng)


def _shaped(xy: np.ndarray, kind: np.ndarray, angle: np.ndarray, rng: np.random.Generator) -> Cells:
    long, short, spread, stain = _SHAPE[kind].T
    scale = np.exp(spread * rng.standard_normal((2, len(kind))))
    axes = np.column_stack([long, short]) * scale.T
    return Cells(xy, kind, angle, axes, stain * np.exp(0.15 * rng.standard_normal(len(kind))))


def _lymphocytes(tissue: Tissue) -> Field:
    scattered = 0.025 * (1 - tissue.fat) + 0.03 * (1 - tissue.fat) * (1 - tissue.tumor)
    return 0.75 * tissue.immune + scattered


def _in_field(
    tissue: Tissue, density: Field, spacing: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    points = jittered_lattice(tissue.extent, spacing, rng)
    points = points[rng.random(len(points)) < sample(density, points, STEP)]
    return points, rng.uniform(0, np.pi, len(points))


def _along_fibers(tissue: Tissue, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    density = 0.75 * (1 - tissue.tumor) * (1 - tissue.fat) * (1 - 0.7 * tissue.immune)
    points, _ = _in_field(tissue, density, 15.0, rng)
    return points, _fiber_angle(tissue, points) + rng.normal(0, 0.25, len(points))


def _fiber_angle(tissue: Tissue, xy: np.ndarray) -> np.ndarray:
    """Direction of the fibers at points; nearest grid point, for angles do not interpolate."""
    i, j = np.round(xy.T[::-1] / STEP).astype(np.intp)
    rows, columns = tissue.angle.shape
    return tissue.angle[np.clip(i, 0, rows - 1), np.clip(j, 0, columns - 1)].astype(np.float64)


def _adipocytes(tissue: Tissue, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flat nuclei, one a vacuole, pressed against the wall to the nearest vacuole."""
    if len(tissue.vacuoles) < 2:
        return np.zeros((0, 2)), np.zeros(0)
    distance, nearest = cKDTree(tissue.vacuoles).query(tissue.vacuoles, k=2)
    out = (tissue.vacuoles[nearest[:, 1]] - tissue.vacuoles) / distance[:, 1:]
    along = out[:, ::-1] * (-1, 1)
    reach = np.minimum(distance[:, 1:] / 2, 39) - 1.5
    nuclei = tissue.vacuoles + reach * out + rng.uniform(-9, 9, (len(out), 1)) * along
    return nuclei, np.arctan2(along[:, 1], along[:, 0])


def _on_rings(
    rings: Rings, which: np.ndarray, spacing: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cells along the walls of rings, standing on the wall of a gland, lying on that of a vessel."""
    xy, angle = [np.zeros((0, 2))], [np.zeros(0)]
    for i in np.flatnonzero(which).tolist():
        wall = rings.radius[i] * (1 - rings.inner[i])
        n_layers = max(1, round(wall / 13))
        for layer in np.arange(0.5, n_layers) / n_layers:
            level = rings.inner[i] + (1 - rings.inner[i]) * layer
            theta = np.arange(0, 2 * np.pi, spacing / (level * rings.radius[i]))
            theta = theta + rng.normal(0, 0.15 * spacing / rings.radius[i], len(theta))
            r = level * rings.outline(i, theta) + rng.normal(0, 0.8, len(theta))
            xy.append(rings.xy[i] + r[:, None] * np.column_stack([np.cos(theta), np.sin(theta)]))
            angle.append(theta + np.pi / 2 * rings.vessel[i])
    return np.concatenate(xy), np.concatenate(angle)


def _free(xy: np.ndarray, kind: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Cells inside the tissue, outside other cells' structures, and clear of the cells before them."""
    keep = (sample(tissue.depth, xy, STEP) > 2) & ((xy > 0) & (xy < tissue.extent)).all(axis=1)
    keep &= ~(_inside_rings(xy, tissue.rings) & ~np.isin(kind, (EPITHELIAL, ENDOTHELIAL)))
    keep &= (wall_distance(tissue.vacuoles, xy) < 3) | (kind == ADIPOCYTE)
    kept = np.flatnonzero(keep)
    crowded = cKDTree(xy[kept]).query_pairs(4.6, output_type="ndarray")[:, 1]
    return np.delete(kept, np.unique(crowded))


def _inside_rings(xy: np.ndarray, rings: Rings) -> np.ndarray:
    inside = np.zeros(len(xy), bool)
    for i, near in enumerate(cKDTree(xy).query_ball_point(rings.xy, 1.5 * rings.radius)):
        dx, dy = (xy[near] - rings.xy[i]).T
        inside[near] |= np.hypot(dx, dy) < rings.outline(i, np.arctan2(dy, dx)) + 4
    return inside
