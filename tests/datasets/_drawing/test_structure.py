from __future__ import annotations

import numpy as np
import pytest

from spatialhist.datasets._drawing.structure import FINEST, Structure, draw_structure
from spatialhist.datasets._drawing.tissue import STEP, Mixture, Tissue, draw_tissue

EXTENT = (900.0, 1300.0)


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    return draw_tissue(EXTENT, Mixture(0.4, 0.2, 0.08, 0.03), np.random.default_rng(4))


@pytest.fixture(scope="module")
def structure(tissue: Tissue) -> Structure:
    return draw_structure(tissue, 2.5, np.random.default_rng(0))


def at(field: np.ndarray, structure: Structure, xy: np.ndarray) -> np.ndarray:
    j, i = np.round(xy / structure.step).astype(int).T
    return field[i, j]


@pytest.mark.parametrize(("mpp", "step"), [(4.0, 4.0), (0.5, FINEST)])
def test_grid_covers_the_slide_and_is_no_finer_than_needed(tissue: Tissue, mpp: float, step: float) -> None:
    structure = draw_structure(tissue, mpp, np.random.default_rng(0))
    rows, columns = structure.eosin.shape
    assert structure.step == step
    assert (columns - 1) * step > EXTENT[0] and (rows - 1) * step > EXTENT[1]


def test_fat_and_lumens_are_empty(structure: Structure, tissue: Tissue) -> None:
    gland = ~tissue.rings.vessel
    assert at(structure.eosin, structure, tissue.rings.xy[gland]).max() < 0.05
    assert np.median(at(structure.eosin, structure, tissue.vacuoles)) == 0
    assert at(structure.hematoxylin, structure, tissue.vacuoles).max() < 0.2


def test_stroma_holds_more_eosin_than_nests(structure: Structure, tissue: Tissue) -> None:
    xy = np.random.default_rng(1).uniform(0, EXTENT, (4000, 2))
    tumor, fat, inside = (at_field(f, xy) for f in (tissue.tumor, tissue.fat, tissue.depth))
    eosin = at(structure.eosin, structure, xy)
    on = (inside > 0) & (fat < 0.1)
    assert eosin[on & (tumor < 0.1)].mean() > 1.5 * eosin[on & (tumor > 0.9)].mean()


def at_field(field: np.ndarray, xy: np.ndarray) -> np.ndarray:
    j, i = np.round(xy / STEP).astype(int).T
    return field[i, j]


def test_blood_is_in_vessels_only(structure: Structure, tissue: Tissue) -> None:
    i, j = np.nonzero(structure.blood > 0.05)
    xy = np.column_stack([j, i]) * structure.step
    vessels = tissue.rings.xy[tissue.rings.vessel]
    nearest = np.linalg.norm(xy[:, None] - vessels[None], axis=2).min(axis=1)
    assert len(xy) > 0
    assert nearest.max() < 30
