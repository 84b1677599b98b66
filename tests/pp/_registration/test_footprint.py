from __future__ import annotations

import numpy as np
import pytest

from spatialhist.pp._registration.footprint import Footprint
from spatialhist.pp._registration.scene import Scene, sums_at_shifts

PER_UNIT = np.array([6.0, 6.0])


@pytest.fixture
def block():
    """Tissue of 10 x 6 units with a spot at the center of each square unit."""
    tissue = np.zeros((84, 120))
    tissue[24:60, 36:96] = 1
    column, row = np.meshgrid(np.arange(6, 16) + 0.5, np.arange(4, 10) + 0.5)
    return Footprint.of(Scene(tissue, PER_UNIT, np.column_stack([column.ravel(), row.ravel()])))


def shifted(dx, dy):
    matrix = np.eye(3)
    matrix[:2, 2] = dx, dy
    return matrix


def test_overlap_is_dice(block):
    assert block.tissue_area == 60
    assert block.spot_area == pytest.approx(1, rel=0.1)
    assert block.shares(np.eye(3)).sum() == pytest.approx(0.9, abs=0.1)
    assert block.shares(shifted(5, 0)).sum() == pytest.approx(0.5, abs=0.1)
    assert block.shares(shifted(30, 0)).sum() == 0


def test_stretched_spots_stand_for_larger_cells(block):
    center = np.array([11.0, 7.0])
    matrix = np.diag([2.0, 2, 1])
    matrix[:2, 2] = -center
    # a quarter of the footprint covers the whole tissue
    assert block.shares(matrix).sum() == pytest.approx(2 * 60 / (60 + 240), abs=0.06)


def test_shifts_agree_with_registrations(block):
    cells = block.scene.cells(block.scene.points)
    scores = block.at_shifts(cells - cells.min(axis=0))
    best = np.unravel_index(scores.argmax(), scores.shape)
    assert np.abs(best - cells.max(axis=0)).max() <= 1
    np.testing.assert_allclose(scores, sums_at_shifts(block.field, cells - cells.min(axis=0), np.ones(60)))


def test_an_outline_is_sharp_and_a_field_of_tissue_is_not(block):
    assert block.certainty(np.eye(3)) == pytest.approx(1, abs=0.1)
    assert block.reason(block.certainty(np.eye(3))) == ""
    everywhere = Footprint.of(Scene(np.ones((84, 120)), PER_UNIT, block.scene.points))
    assert everywhere.certainty(np.eye(3)) == pytest.approx(0, abs=0.05)
    assert "does not determine the position" in everywhere.reason(everywhere.certainty(np.eye(3)))
