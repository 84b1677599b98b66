"""The tissue model: where on a slide lies tumor, stroma, fat, lymphocytes, glands and vessels, in micrometers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.fields import Field, sample, smooth_noise
from spatialhist.datasets._drawing.lattice import jittered_lattice

STEP = 8.0  # micrometers between the points of a field


@dataclass(frozen=True)
class Mixture:
    """Shares of the tissue area, one set per patient."""

    tumor: float
    fat: float
    immune: float
    necrosis: float


@dataclass(frozen=True)
class Rings:
    """Structures around a lumen: glands, ducts and vessels, one entry each, in micrometers."""

    xy: np.ndarray
    radius: np.ndarray
    inner: np.ndarray
    wobble: np.ndarray
    vessel: np.ndarray

    def outline(self, i: int, theta: np.ndarray) -> np.ndarray:
        """Radius of ring `i` in direction `theta`."""
        a, b, phase = self.wobble[i]
        return self.radius[i] * (1 + a * np.cos(2 * theta + phase) + b * np.cos(3 * theta - 2 * phase))


@dataclass(frozen=True)
class Tissue:
    """Fields of one slide on a grid of `STEP` micrometers, values in [0, 1] unless said otherwise.

    `depth` is the signed distance to the outline in micrometers (positive inside), `angle` the direction
    of the fibers in radians, `fold` how far the tissue lies twice, `vacuoles` the centers (x, y) of fat cells.
    """

    extent: tuple[float, float]
    depth: Field
    tumor: Field
    immune: Field
    fat: Field
    necrosis: Field
    fold: Field
    angle: Field
    rings: Rings
    vacuoles: np.ndarray


def draw_mixture(rng: np.random.Generator) -> Mixture:
    """Make up what a patient's tissue consists of."""
    return Mixture(
        tumor=rng.uniform(0.35, 0.55),
        fat=rng.uniform(0.08, 0.2),
        immune=rng.uniform(0.06, 0.12),
        necrosis=float(rng.choice([0.0, 0.04])),
    )


def draw_tissue(extent: tuple[float, float], mixture: Mixture, rng: np.random.Generator) -> Tissue:
    """Make up the tissue of a slide of `extent` (width, height) micrometers."""
    shape = (int(np.ceil(extent[1] / STEP)) + 1, int(np.ceil(extent[0] / STEP)) + 1)
    depth = _outline(shape, rng)
    inside = depth > 0
    nests = _nests(shape, rng)
    tumor_level = _level(nests, inside, mixture.tumor)
    tumor = _soft(nests - tumor_level, 0.08)
    fat = _top(smooth_noise(shape, 170 / STEP, rng) - 1.2 * tumor, inside, mixture.fat) * (1 - tumor)
    border = np.exp(-np.square((nests - tumor_level) / 0.4))
    lymphoid = smooth_noise(shape, 45 / STEP, rng) + 0.8 * border - 1.5 * fat
    immune = _top(lymphoid, inside, mixture.immune)
    necrosis = _top(nests, inside, mixture.necrosis)
    stroma = (1 - tumor) * (1 - fat) * (1 - immune) * (depth > 40)
    return Tissue(
        extent=extent,
        depth=depth,
        tumor=tumor,
        immune=immune,
        fat=fat,
        necrosis=necrosis,
        fold=_fold(shape, rng),
        angle=_fibers(nests, rng),
        rings=_draw_rings(extent, stroma, tumor * (1 - necrosis) * (depth > 60), rng),
        vacuoles=_vacuoles(extent, fat * (depth > 15), rng),
    )


def wall_distance(vacuoles: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Distance from points in fat cells to the cells' walls in micrometers, negative outside.

    Fat cells are the cells of a Voronoi diagram, cut off at 39 micrometers from their centers.
    """
    if len(vacuoles) < 2:
        return np.full(len(xy), -np.inf)
    distance, _ = cKDTree(vacuoles).query(xy, k=2)
    return np.minimum((distance[:, 1] - distance[:, 0]) / 2, 39 - distance[:, 0])


def _vacuoles(extent: tuple[float, float], fat: Field, rng: np.random.Generator) -> np.ndarray:
    centers = jittered_lattice(extent, 58.0, rng)
    return centers[sample(fat, centers, STEP) > 0.5]


def _outline(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Signed distance to the rim of a ragged, lopsided blob."""
    v, u = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    u, v = u + rng.uniform(-0.04, 0.04) + rng.uniform(-0.12, 0.12) * v, v + rng.uniform(-0.04, 0.04)
    blob = 0.82 - (np.abs(u) ** 3 + np.abs(v) ** 3) ** (1 / 3)
    ragged = 0.09 * np.tanh(smooth_noise(shape, 200 / STEP, rng)) + 0.012 * smooth_noise(shape, 20 / STEP, rng)
    inside = blob + ragged > 0
    inside[[0, -1]] = inside[:, [0, -1]] = False
    inside = ndimage.binary_fill_holes(_largest(inside))
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return (STEP * ndimage.gaussian_filter(distance, 0.8)).astype(np.float32)


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(mask)
    return labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1


def _nests(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    scales = {320: 0.8, 90: 1.0, 30: 0.45}
    return np.sum([weight * smooth_noise(shape, um / STEP, rng) for um, weight in scales.items()], axis=0)


def _level(field: Field, inside: np.ndarray, share: float) -> float:
    return float(np.quantile(field[inside], 1 - share)) if share > 0 else np.inf


def _top(field: Field, inside: np.ndarray, share: float) -> Field:
    """Near 1 on the `share` of the tissue where `field` is highest."""
    return _soft(field - _level(field, inside, share), 0.12)


def _soft(excess: Field, width: float) -> Field:
    return (1 / (1 + np.exp(-np.clip(excess / width, -30, 30)))).astype(np.float32)


def _fibers(nests: Field, rng: np.random.Generator) -> Field:
    """Fibers run along the level lines of the nests, so that they wrap around them."""
    stream = 0.5 * ndimage.gaussian_filter(nests, 30 / STEP) + 0.6 * smooth_noise(nests.shape, 200 / STEP, rng)
    dy, dx = np.gradient(stream)
    dominant = rng.uniform(0, 2 * np.pi)
    dx, dy = dx + 0.05 * np.cos(dominant), dy + 0.05 * np.sin(dominant)
    return np.arctan2(dx, -dy).astype(np.float32)


def _fold(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A narrow wavy band across the tissue on every other slide."""
    if rng.random() < 0.5:
        return np.zeros(shape, np.float32)
    y, x = np.indices(shape) * STEP
    angle, length = rng.uniform(0, np.pi), 0.35 * STEP * min(shape)
    x0, y0 = (STEP * n * rng.uniform(0.3, 0.7) for n in shape[::-1])
    along = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
    across = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle) + 30 * np.sin(along / 120)
    width = rng.uniform(10, 18)
    return (np.exp(-((across / width) ** 4)) * np.clip(2 - np.abs(along) / length * 2, 0, 1)).astype(np.float32)


def _draw_rings(extent: tuple[float, float], stroma: Field, tumor: Field, rng: np.random.Generator) -> Rings:
    """Ducts, lobules of acini and vessels in the stroma, small lumens in the tumor."""
    area = extent[0] * extent[1] / 1e6
    parts = [
        (_scatter(stroma, 2.0 * area, rng), (55, 90), 0.55, False),
        (_lobules(stroma, 1.2 * area, rng), (18, 30), 0.35, False),
        (_scatter(tumor, 9.0 * area, rng), (20, 38), 0.45, False),
        (_scatter(stroma, 9.0 * area, rng), (9, 22), 0.75, True),
    ]
    xy = np.concatenate([p[0] for p in parts])
    radius = np.concatenate([rng.uniform(*p[1], len(p[0])) for p in parts])
    inner = np.concatenate([np.full(len(p[0]), p[2]) for p in parts])
    vessel = np.concatenate([np.full(len(p[0]), p[3]) for p in parts])
    wobble = rng.uniform(0, (0.22, 0.12, 2 * np.pi), (len(xy), 3))
    keep = _apart(xy, radius)
    return Rings(xy[keep], radius[keep], inner[keep], wobble[keep], vessel[keep])


def _scatter(where: Field, expected: float, rng: np.random.Generator) -> np.ndarray:
    """About `expected` points drawn where `where` is high."""
    size = STEP * (np.array(where.shape[::-1]) - 1)
    points = rng.uniform(0, 1, (rng.poisson(3 * expected), 2)) * size
    return points[rng.random(len(points)) < sample(where, points, STEP) ** 2]


def _lobules(where: Field, expected: float, rng: np.random.Generator) -> np.ndarray:
    centers = _scatter(where, expected, rng)
    acini = np.repeat(centers, rng.poisson(14, len(centers)), axis=0)
    acini = acini + rng.normal(0, 75, acini.shape)
    return acini[sample(where, acini, STEP) > 0.5]


def _apart(xy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Rings that touch none of the rings kept before them."""
    kept: list[int] = []
    for i in range(len(xy)):
        gaps = np.linalg.norm(xy[kept] - xy[i], axis=1) - 1.25 * (radius[kept] + radius[i])
        if (gaps > 0).all():
            kept.append(i)
    return np.array(kept, dtype=np.intp)
