from __future__ import annotations

import numpy as np
import pytest

from spatialhist.datasets._drawing.cells import Cells
from spatialhist.datasets._drawing.counts import (
    DEPTH_SPREAD,
    DISPERSION,
    SPOT_AREA,
    TYPICAL,
    composition,
    draw_counts,
    draw_counts_in_field,
    vary_share,
)
from spatialhist.datasets._drawing.genes import RNA_CONTENT


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


@pytest.fixture(scope="module")
def binned() -> np.ndarray:
    """Counts of two genes in 560 x 420 bins of 8 um on a plain of typical tissue."""
    share = np.array([[0.7, 0.1, 0.1, 0.1, 0.1, 0.1], [0.3, 0.9, 0.9, 0.9, 0.9, 0.9]])
    y, x = np.indices((420, 560)) * 8.0 + 4
    xy = np.column_stack([x.ravel(), y.ravel()])
    rna = np.tile(TYPICAL * RNA_CONTENT * 64 / SPOT_AREA, (len(xy), 1))
    return draw_counts_in_field(rna, xy, share, 500.0, np.random.default_rng(4)).toarray().reshape(420, 560, 2)


def test_bins_over_a_spot_have_the_depth_and_the_spread_of_a_spot(binned: np.ndarray) -> None:
    spots = binned.reshape(60, 7, 80, 7, 2).sum(axis=(1, 3)).reshape(-1, 2)
    ratio = 49 * 64 / SPOT_AREA
    assert spots.sum(axis=1).mean() == pytest.approx(500 * ratio * np.exp(DEPTH_SPREAD**2 / 2), rel=0.03)
    own = spots.var(axis=0) / spots.mean(axis=0) ** 2 - 1 / spots.mean(axis=0)
    of_a_spot = (1 + 1 / DISPERSION) * np.exp(DEPTH_SPREAD**2) - 1
    # what varies within a spot is lost
    assert (own > 0.6 * of_a_spot).all() and (own < of_a_spot).all()


def test_within_a_spot_counts_of_bins_are_nearly_poisson(binned: np.ndarray) -> None:
    pairs = binned[:, ::2], binned[:, 1::2]
    between = ((pairs[0] - pairs[1]) ** 2).mean(axis=(0, 1)) / 2
    np.testing.assert_allclose(between, binned.mean(axis=(0, 1)), rtol=0.15)
    assert np.corrcoef(pairs[0][..., 1].ravel(), pairs[1][..., 1].ravel())[0, 1] > 0.3
