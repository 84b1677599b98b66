from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from spatialhist import metrics


def test_by_hand(grid):
    # path of four spots, values 0 1 0 1 around their mean: every neighbor is the exact opposite
    path = sparse.diags_array([np.ones(3), np.ones(3)], offsets=[-1, 1])
    np.testing.assert_allclose(metrics.morans_i([[0.0], [1.0], [0.0], [1.0]], path), [-1.0])
    # values 0 0 1 1, z = -1 -1 1 1: neighbors' means -1, 0, 0, 1, so (1 + 0 + 0 + 1) / 4
    np.testing.assert_allclose(metrics.morans_i([[0.0], [0.0], [1.0], [1.0]], path), [0.5])


def test_equals_the_double_sum(grid):
    xy, graph = grid
    values = np.random.default_rng(0).standard_normal((len(xy), 3)) + xy[:, :1]
    weights = graph.toarray() / graph.toarray().sum(axis=1, keepdims=True)
    z = values - values.mean(axis=0)
    expected = [len(z) / weights.sum() * (weights * np.outer(c, c)).sum() / (c**2).sum() for c in z.T]
    np.testing.assert_allclose(metrics.morans_i(values, graph), expected)


def test_equals_squidpy(grid):
    squidpy = pytest.importorskip("squidpy")
    anndata = pytest.importorskip("anndata")
    xy, graph = grid
    values = np.random.default_rng(0).gamma(1.0, size=(len(xy), 4)) + xy[:, 1:]
    adata = anndata.AnnData(values, obsp={"spatial_connectivities": sparse.csr_matrix(graph)})
    table = squidpy.gr.spatial_autocorr(adata, mode="moran", n_perms=None, copy=True, show_progress_bar=False)
    np.testing.assert_allclose(metrics.morans_i(values, graph), table.loc[adata.var_names, "I"], rtol=1e-5)


def test_self_loops_and_spots_without_neighbors(grid):
    xy, graph = grid
    values = xy[:, :1] ** 2
    expected = metrics.morans_i(values, graph)
    np.testing.assert_allclose(metrics.morans_i(values, graph + sparse.eye_array(len(xy))), expected)
    lonely = sparse.block_diag([graph, np.zeros((1, 1))])
    # a spot at the mean of the others adds nothing to either sum, and has no weights
    with_mean = np.vstack([values, values.mean(axis=0)])
    np.testing.assert_allclose(metrics.morans_i(with_mean, lonely), expected * (len(xy) + 1) / len(xy))


def test_constant_is_undefined_and_bad_graphs_are_errors(grid):
    xy, graph = grid
    assert np.isnan(metrics.morans_i(np.full((len(xy), 1), 0.1), graph)).all()
    with pytest.raises(ValueError, match=r"connectivities have shape \(54, 54\), expected \(10, 10\)"):
        metrics.morans_i(np.ones((10, 1)), graph)
    with pytest.raises(ValueError, match="no spot has a neighbor"):
        metrics.morans_i(xy, sparse.csr_array(graph.shape))


def test_agreement_is_lins_concordance(grid):
    xy, graph = grid
    rng = np.random.default_rng(3)
    truth = xy @ rng.standard_normal((2, 6)) + np.linspace(0.1, 5, 6) * rng.standard_normal((len(xy), 6))
    predicted = 0.5 * truth + rng.standard_normal(truth.shape)
    a, b = metrics.morans_i(truth, graph), metrics.morans_i(predicted, graph)
    expected = 2 * np.mean((a - a.mean()) * (b - b.mean())) / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    assert metrics.moran_agreement(truth, predicted, graph) == pytest.approx(expected)
    assert metrics.moran_agreement(truth, 3 * truth + 1, graph) == pytest.approx(1)


def test_agreement_punishes_smoothing_that_correlation_across_targets_forgives(grid):
    xy, graph = grid
    rng = np.random.default_rng(0)
    truth = xy[:, :1] * np.linspace(0, 0.3, 30) + rng.standard_normal((len(xy), 30))
    smooth = truth + metrics.neighbor_oracle(truth, graph)
    a, b = metrics.morans_i(truth, graph), metrics.morans_i(smooth, graph)
    assert np.corrcoef(a, b)[0, 1] > 0.8
    assert metrics.moran_agreement(truth, smooth, graph) < 0.2


def test_agreement_counts_constant_predictions_and_leaves_out_missing_ones(grid):
    xy, graph = grid
    truth = np.column_stack([xy, np.random.default_rng(0).standard_normal(len(xy))])
    assert metrics.moran_agreement(truth, np.ones_like(truth), graph) == 0
    missing = np.where([True, True, False], truth, np.nan)
    expected = metrics.moran_agreement(truth[:, :2], truth[:, :2], graph)
    assert metrics.moran_agreement(truth, missing, graph) == pytest.approx(expected)
    assert np.isnan(metrics.moran_agreement(truth[:, :1], truth[:, :1], graph))
