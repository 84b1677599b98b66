"""Single transcripts and the cells they are counted in, as of Xenium."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from spatialhist.datasets._drawing.bodies import Bodies, grow_bodies
from spatialhist.datasets._drawing.cells import CELL_TYPES
from spatialhist.datasets._drawing.counts import AMBIENT, SPOT_AREA, TYPICAL, draw_counts_in_field
from spatialhist.datasets._drawing.genes import RNA_CONTENT
from spatialhist.datasets._drawing.scene import Scene, within
from spatialhist.datasets._drawing.slide import Slide

LEAST_QV = 20.0
"""Quality from which on a transcript is counted in its cell, as Xenium does."""
_BEST_QV = 40.0
_SPREAD = 4.0  # micrometers around a nucleus, within its body and a little beyond
NO_CELL = -1


@dataclass(frozen=True)
class Transcripts:
    """Transcripts, a row each; ``xy`` is where they are said to lie, in micrometers, ``cell`` the row of a cell."""

    xy: np.ndarray
    gene: np.ndarray
    quality: np.ndarray
    cell: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """Boolean of those of good quality."""
        return self.quality >= LEAST_QV


@dataclass(frozen=True)
class Segmented(Slide):
    """Cells; outlines in reported pixels ``(n, corners, 2)``, areas in square micrometers."""

    outlines: np.ndarray
    area: np.ndarray
    nucleus_area: np.ndarray
    transcripts: Transcripts


def draw_segmented(scene: Scene, share: np.ndarray, rng: np.random.Generator) -> Segmented:
    """Scatter the RNA of each cell around its nucleus, and count what lies in the outline of each."""
    on = within(scene.placement.reported(scene.cells.xy), scene.tissue.extent)
    scene = replace(scene, cells=scene.cells[np.flatnonzero(on)])
    bodies = grow_bodies(scene.cells)
    transcripts = _draw_transcripts(scene, bodies, share, rng)
    mpp, reported = scene.design.mpp, scene.placement.reported
    corners = bodies.corners
    return Segmented(
        scene,
        reported(bodies.xy) / mpp,
        bodies.xy / mpp,
        np.eye(len(CELL_TYPES), dtype=np.int64)[scene.cells.kind],
        _count(transcripts, len(bodies.xy), len(share)),
        outlines=reported(corners.reshape(-1, 2)).reshape(corners.shape) / mpp,
        area=bodies.area,
        nucleus_area=np.pi * scene.cells.axes.prod(axis=1),
        transcripts=transcripts,
    )


def _draw_transcripts(scene: Scene, bodies: Bodies, share: np.ndarray, rng: np.random.Generator) -> Transcripts:
    design, cells = scene.design, scene.cells
    own = np.eye(len(CELL_TYPES))[cells.kind]
    # without a signal every cell makes what an average one makes
    rna = (design.signal * own + (1 - design.signal) * TYPICAL / TYPICAL.sum()) * RNA_CONTENT
    made = draw_counts_in_field(rna, cells.xy, share, design.depth, rng).tocoo()
    n = made.data.astype(np.intp)
    inside = np.repeat(cells.xy[made.row], n, axis=0) + rng.normal(0, _SPREAD, (n.sum(), 2))
    loose, loose_gene = _diffused(scene, share, rng)
    true_xy, gene = np.concatenate([inside, loose]), np.concatenate([np.repeat(made.col, n), loose_gene])
    # most are read clearly, an eighth is not
    quality = _BEST_QV * np.cbrt(rng.random(len(gene)))
    xy = scene.placement.reported(true_xy)
    on = within(xy, scene.tissue.extent)
    return Transcripts(xy[on], gene[on], quality[on].astype(np.float32), bodies.at(true_xy[on]))


def _diffused(scene: Scene, share: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Transcripts that lie anywhere on the slide: positions and genes."""
    extent, typical = np.array(scene.tissue.extent), TYPICAL * RNA_CONTENT
    expected = scene.design.depth * AMBIENT * extent.prod() / SPOT_AREA * (share @ typical) / typical.sum()
    gene = np.repeat(np.arange(len(share)), rng.poisson(expected))
    return rng.uniform(0, extent, (len(gene), 2)), gene


def _count(transcripts: Transcripts, n_cells: int, n_genes: int) -> sparse.csr_matrix:
    kept = transcripts.counted & (transcripts.cell != NO_CELL)
    at = (transcripts.cell[kept], transcripts.gene[kept])
    return sparse.coo_matrix((np.ones(kept.sum(), np.float32), at), shape=(n_cells, n_genes)).tocsr()
