from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.cells import (
    ADIPOCYTE,
    CELL_TYPES,
    ENDOTHELIAL,
    EPITHELIAL,
    FIBROBLAST,
    TUMOR,
    Cells,
    draw_cells,
)
from spatialhist.datasets._drawing.fields import sample
from spatialhist.datasets._drawing.tissue import STEP, Mixture, Tissue, draw_tissue, wall_distance


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    return draw_tissue((1200.0, 1600.0), Mixture(0.4, 0.15, 0.08, 0.03), np.random.default_rng(4))


@pytest.fixture(scope="module")
def cells(tissue: Tissue) -> Cells:
    return draw_cells(tissue, np.random.default_rng(5))


def test_all_kinds_are_there_and_inside(cells: Cells, tissue: Tissue) -> None:
    assert set(cells.kind) == set(range(len(CELL_TYPES)))
    assert (sample(tissue.depth, cells.xy, STEP) > 0).all()


def test_nuclei_keep_apart(cells: Cells) -> None:
    distance, _ = cKDTree(cells.xy).query(cells.xy, k=2)
    assert distance[:, 1].min() > 4.5


def test_tumor_cells_lie_in_nests_and_fibroblasts_outside(cells: Cells, tissue: Tissue) -> None:
    nest = sample(tissue.tumor, cells.xy, STEP)
    assert nest[cells.kind == TUMOR].mean() > 0.9
    assert nest[cells.kind == FIBROBLAST].mean() < 0.1


def test_lumens_and_fat_hold_no_nuclei(cells: Cells, tissue: Tissue) -> None:
    rings = tissue.rings
    distance = np.linalg.norm(cells.xy[:, None] - rings.xy[None], axis=2)
    assert (distance > 0.6 * rings.inner * rings.radius).all()
    loose = cells[~np.isin(cells.kind, (ADIPOCYTE, EPITHELIAL, ENDOTHELIAL))]
    assert (wall_distance(tissue.vacuoles, loose.xy) < 3).all()


def test_fibroblasts_are_slender_and_lie_along_the_fibers(cells: Cells, tissue: Tissue) -> None:
    fibroblasts = cells[cells.kind == FIBROBLAST]
    i, j = np.round(fibroblasts.xy.T[::-1] / STEP).astype(int)
    turn = fibroblasts.angle - tissue.angle[i, j]
    assert np.cos(2 * turn).mean() > 0.8
    assert np.median(fibroblasts.axes[:, 0] / fibroblasts.axes[:, 1]) > 3


def test_no_fat_means_no_adipocytes() -> None:
    tissue = draw_tissue((700.0, 500.0), Mixture(0.4, 0.0, 0.08, 0.0), np.random.default_rng(1))
    cells = draw_cells(tissue, np.random.default_rng(2))
    assert not (cells.kind == ADIPOCYTE).any()
