"""From tissue and cells to pixels: nuclei onto the background, dyes to light by the Beer-Lambert law."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from spatialhist.datasets._drawing.cells import TUMOR, Cells
from spatialhist.datasets._drawing.fields import Field, interpolate
from spatialhist.datasets._drawing.structure import Structure

_BAND = 512  # rows drawn at a time, to bound memory
_BATCH = 2_000_000  # pixels of nuclei drawn at a time

# optical density of hematoxylin, eosin (Ruifrok and Johnston, 2001) and blood per channel
_STAINS = np.array([(0.65, 0.70, 0.29), (0.10, 0.95, 0.30), (0.25, 0.95, 0.75)])


@dataclass(frozen=True)
class Stain:
    """How a slide was stained and scanned: optical densities (3 dyes x RGB) and the light of the empty glass."""

    density: np.ndarray
    glass: np.ndarray


def draw_stain(rng: np.random.Generator) -> Stain:
    """Make up a laboratory's stain: hue and strength of each dye."""
    density = _STAINS * rng.uniform(0.85, 1.2, (3, 1)) + rng.normal(0, 0.05, (3, 3))
    return Stain(np.clip(density, 0.02, None), np.array([243.0, 241.0, 243.0]) + rng.normal(0, 2.5, 3))


def vary_stain(stain: Stain, rng: np.random.Generator) -> Stain:
    """The same laboratory on another day: strengths differ by about a tenth, hues hardly."""
    density = stain.density * np.exp(rng.normal(0, 0.1, (3, 1))) + rng.normal(0, 0.01, (3, 3))
    return replace(stain, density=np.clip(density, 0.02, None))


def render(
    structure: Structure, cells: Cells, stain: Stain, size: tuple[int, int], mpp: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a slide of `size` (width, height) pixels at `mpp` micrometers per pixel, `(3, height, width)`."""
    image = np.empty((3, size[1], size[0]), np.uint8)
    for top in range(0, size[1], _BAND):
        rows = np.arange(top, min(top + _BAND, size[1]))
        image[:, rows] = _render_band(structure, cells, stain, rows, size, mpp, rng)
    return image


def _render_band(
    structure: Structure,
    cells: Cells,
    stain: Stain,
    rows: np.ndarray,
    size: tuple[int, int],
    mpp: float,
    rng: np.random.Generator,
) -> np.ndarray:
    y, x = (rows + 0.5) * mpp / structure.step, (np.arange(size[0]) + 0.5) * mpp / structure.step
    dyes = np.stack([interpolate(f, y, x) for f in (structure.hematoxylin, structure.eosin, structure.blood)])
    grain = ndimage.gaussian_filter(rng.standard_normal(dyes.shape[1:], dtype=np.float32), min(0.7, 0.6 / mpp))
    _add_cells(dyes, cells, rows, mpp)
    dyes[:2] *= 1 + 0.22 * grain
    dyes *= interpolate(structure.inside, y, x) * (1 + 0.9 * interpolate(structure.fold, y, x))
    return _expose(dyes, stain, y, x, structure, rng)


def _expose(
    dyes: Field, stain: Stain, y: np.ndarray, x: np.ndarray, structure: Structure, rng: np.random.Generator
) -> np.ndarray:
    """Light through the dyes, dimmer towards the corners of the slide, with the camera's noise."""
    density = np.tensordot(stain.density.T.astype(np.float32), np.clip(dyes, 0, None), axes=1)
    v, u = y / structure.inside.shape[0] - 0.5, x / structure.inside.shape[1] - 0.5
    lamp = (1 - 0.05 * (np.square(v)[:, None] + np.square(u)[None, :])).astype(np.float32)
    light = stain.glass.astype(np.float32)[:, None, None] * lamp * np.exp(-density)
    light += 1.2 * rng.standard_normal(light.shape[1:], dtype=np.float32)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _add_cells(dyes: Field, cells: Cells, rows: np.ndarray, mpp: float) -> None:
    """Add the cytoplasm and the nuclei that reach into the band."""
    top, bottom = rows[0] * mpp - 25, (rows[-1] + 1) * mpp + 25
    cells = cells[(cells.xy[:, 1] > top) & (cells.xy[:, 1] < bottom)]
    tumor = cells[cells.kind == TUMOR]
    body = replace(tumor, axes=tumor.axes * 1.55, stain=0.42 * tumor.stain)
    for dye, group, hollow in ((1, body, 0.0), (0, cells[cells.kind != TUMOR], 0.1), (0, tumor, 0.45)):
        _splat(dyes[dye], group, rows[0], mpp, hollow)


def _splat(canvas: Field, cells: Cells, top: int, mpp: float, hollow: float) -> None:
    """Draw ellipses with smooth rims onto `canvas`, where they exceed what is there.

    `hollow` lightens the inside of a nucleus and leaves its rim and a nucleolus dark.
    """
    center = cells.xy / mpp - 0.5 - (0, top)
    reach = np.ceil(cells.axes.max(axis=1) / mpp + 1).astype(int)
    for r in np.unique(reach):
        members = np.flatnonzero(reach == r)
        batch = max(1, _BATCH // (2 * r + 1) ** 2)
        for start in range(0, len(members), batch):
            part = members[start : start + batch]
            _splat_batch(canvas, center[part], cells[part], int(r), mpp, hollow)


def _splat_batch(canvas: Field, center: np.ndarray, cells: Cells, reach: int, mpp: float, hollow: float) -> None:
    box = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), axis=-1).reshape(-1, 2)
    pixel = np.rint(center).astype(np.intp)[:, None, :] + box
    dx, dy = np.moveaxis((pixel - center[:, None, :]).astype(np.float32), -1, 0)
    cos, sin = np.cos(cells.angle)[:, None], np.sin(cells.angle)[:, None]
    a, b = (cells.axes / mpp).astype(np.float32).T[:, :, None]
    level = np.hypot((dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b)
    cover = np.clip((1 - level) * np.sqrt(a * b) + 0.5, 0, 1)
    inner = 1 - hollow * np.clip(1 - np.square(level), 0, 1) + hollow * np.exp(-np.square(level / 0.25))
    value = (cover * inner * cells.stain[:, None]).astype(np.float32)
    x, y = np.moveaxis(pixel, -1, 0)
    seen = (cover > 0) & (x >= 0) & (y >= 0) & (x < canvas.shape[1]) & (y < canvas.shape[0])
    np.maximum.at(canvas.ravel(), (y * canvas.shape[1] + x)[seen], value[seen])  # ravel: a view, canvas is contiguous
