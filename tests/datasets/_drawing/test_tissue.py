from __future__ import annotations

import numpy as np
import pytest

from spatialhist.datasets._drawing.tissue import STEP, Mixture, Tissue, draw_tissue, wall_distance

EXTENT = (1200.0, 1600.0)


def make(seed: int = 0, **mixture: float) -> Tissue:
    shares = {"tumor": 0.4, "fat": 0.15, "immune": 0.08, "necrosis": 0.0} | mixture
    return draw_tissue(EXTENT, Mixture(**shares), np.random.default_rng(seed))


def test_fields_cover_the_extent_and_glass_surrounds_the_tissue() -> None:
    tissue = make()
    assert tissue.depth.shape == (201, 151)
    rim = np.concatenate([tissue.depth[[0, -1]].ravel(), tissue.depth[:, [0, -1]].ravel()])
    assert (rim < 0).all()
    assert 0.4 < (tissue.depth > 0).mean() < 0.9


def test_depth_is_the_distance_to_the_outline() -> None:
    gradient = np.hypot(*np.gradient(make().depth, STEP))
    assert np.median(gradient) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_tumor_takes_its_share_of_the_tissue(share: float) -> None:
    tissue = make(tumor=share)
    assert (tissue.tumor[tissue.depth > 0] > 0.5).mean() == pytest.approx(share, abs=0.01)


def test_no_necrosis_means_none() -> None:
    assert make(necrosis=0.0).necrosis.max() < 1e-6
    assert make(necrosis=0.05).necrosis.max() > 0.9


def test_rings_do_not_touch_and_lie_on_tissue() -> None:
    rings = make(seed=3).rings
    gap = np.linalg.norm(rings.xy[:, None] - rings.xy[None], axis=2) - rings.radius[:, None] - rings.radius
    np.fill_diagonal(gap, 1)
    assert len(rings.xy) > 5
    assert (gap > 0).all()
    assert ((rings.xy > 0) & (rings.xy < EXTENT)).all()


def test_wall_distance_is_measured_to_the_bisector_and_the_rim() -> None:
    vacuoles = np.array([[0.0, 0.0], [60.0, 0.0]])
    points = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 38.0], [0.0, 50.0]])
    wall = wall_distance(vacuoles, points)
    assert wall[0] == pytest.approx(30)
    assert wall[1] == pytest.approx(0)
    assert wall[2] == pytest.approx(1)
    assert wall[3] < 0


def test_a_single_vacuole_has_no_walls() -> None:
    assert (wall_distance(np.zeros((1, 2)), np.zeros((2, 2))) == -np.inf).all()
