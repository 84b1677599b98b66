from __future__ import annotations

import numpy as np
import pytest

from spatialhist.datasets._drawing.cells import Cells
from spatialhist.datasets._drawing.counts import DISPERSION, TYPICAL, composition, draw_counts, vary_share


def test_composition_counts_cells_under_each_spot() -> None:
    xy = np.array([[0.0, 0.0], [3.0, 4.0], [100.0, 7.0], [300.0, 0.0]])
    cells = Cells(xy, np.array([0, 3, 3, 1]), np.zeros(4), np.ones((4, 2)), np.ones(4))
    spots = np.array([[0.0, 0.0], [100.0, 0.0], [7.0, 100.0]])
    expected = [[1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    assert composition(cells, spots, 10.0).tolist() == expected


@pytest.fixture
def share() -> np.ndarray:
    return np.array([[0.7, 0.1, 0.1, 0.1, 0.1, 0.1], [0.3, 0.9, 0.9, 0.9, 0.9, 0.9]])


def test_a_typical_spot_has_the_expected_depth(share: np.ndarray) -> None:
    counts = draw_counts(np.tile(TYPICAL, (20_000, 1)), share, 500.0, np.random.default_rng(0)).toarray()
    spread_and_ambient = np.exp(0.3**2 / 2) * 1.03
    assert counts.sum(axis=1).mean() == pytest.approx(500 * spread_and_ambient, rel=0.02)
    assert (counts == np.rint(counts)).all()


def test_counts_are_overdispersed_as_a_negative_binomial(share: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatialhist.datasets._drawing.counts.DEPTH_SPREAD", 0.0)
    counts = draw_counts(np.tile(TYPICAL, (40_000, 1)), share, 60.0, np.random.default_rng(1)).toarray()
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    np.testing.assert_allclose(variance, mean + mean**2 / DISPERSION, rtol=0.05)


def test_glass_gets_the_ambient_only(share: np.ndarray) -> None:
    counts = draw_counts(np.zeros((5000, 6)), share, 1000.0, np.random.default_rng(2)).toarray()
    assert counts.sum(axis=1).mean() == pytest.approx(30, rel=0.1)


def test_counts_follow_the_cells(share: np.ndarray) -> None:
    cells = np.zeros((4000, 6))
    cells[:2000, 0] = cells[2000:, 2] = 10
    counts = draw_counts(cells, share, 800.0, np.random.default_rng(3)).toarray()
    part = counts[:, 0] / counts.sum(axis=1)
    assert part[:2000].mean() > 0.6 and part[2000:].mean() < 0.2


def test_a_batch_effect_moves_genes_and_leaves_cell_types_alike(share: np.ndarray) -> None:
    factor = vary_share(share, 0.3, np.random.default_rng(0)) / share
    np.testing.assert_allclose(factor, factor[:, :1] * np.ones(6))
    assert factor[0, 0] != factor[1, 0]
