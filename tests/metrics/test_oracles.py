from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr

from spatialhist import metrics


def test_depth_oracle_scores_the_signed_correlation_with_log_depth():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2.0, size=(40, 1)) * 5, (40, 9))
    layer = rng.standard_normal((40, 4)) + counts[:, :4] * [1, -1, 0, 2]
    depth = np.log1p(counts.sum(axis=1))
    expected = [pearsonr(depth, column).statistic for column in layer.T]
    assert min(expected) < 0 < max(expected)
    for matrix in (counts, sparse.csr_matrix(counts), sparse.csr_array(counts)):
        predicted = metrics.depth_oracle(matrix, layer)
        np.testing.assert_allclose(metrics.pearson(layer, predicted), expected)
        np.testing.assert_allclose(
            [predicted.mean(axis=0), predicted.std(axis=0)], [layer.mean(axis=0), layer.std(axis=0)]
        )


def test_depth_oracle_keeps_missing_targets_and_survives_equal_depth():
    layer = np.array([[0.0, np.nan], [2.0, np.nan]])
    np.testing.assert_array_equal(metrics.depth_oracle([[3], [3]], layer), [[1.0, np.nan], [1.0, np.nan]])
    with pytest.raises(ValueError, match="counts have 3 spots and layer has 2"):
        metrics.depth_oracle([[3], [3], [3]], layer)


def test_neighbor_oracle_equals_a_loop(grid):
    xy, graph = grid
    truth = np.random.default_rng(0).standard_normal((len(xy), 3))
    expected = [truth[np.flatnonzero(row)].mean(axis=0) for row in graph.toarray()]
    np.testing.assert_allclose(metrics.neighbor_oracle(truth, graph), expected)
    np.testing.assert_allclose(metrics.neighbor_oracle(truth, graph + 5 * sparse.eye_array(len(xy))), expected)


def test_neighbor_oracle_by_hand_with_weights_and_a_lonely_spot():
    graph = sparse.csr_array([[0, 3, 1, 0], [3, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    truth = [[0.0], [4.0], [8.0], [12.0]]
    np.testing.assert_allclose(metrics.neighbor_oracle(truth, graph).ravel(), [5.0, 0.0, 0.0, 6.0])


@pytest.mark.real_data
def test_oracles_of_a_real_section_lie_below_its_ceiling(data_root):
    folder = data_root / "her2st"
    table = pd.read_csv(folder / "counts" / "C3.tsv.gz", sep="\t", index_col=0)
    table = table[table.sum(axis=1) >= 50]
    spots = pd.read_csv(folder / "spots" / "C3.csv", index_col="spot_id").loc[table.index]
    distance = cdist(spots[["array_x", "array_y"]], spots[["array_x", "array_y"]])
    counts, graph = table.to_numpy(), sparse.csr_array((distance < 1.5).astype(float))
    layer = log_normalized(counts)
    panel = np.argsort(-layer.mean(axis=0))[:250]
    truth = layer[:, panel]
    ceiling = np.nanmean(metrics.noise_ceiling(counts, log_normalized, repeats=2)[panel])
    for oracle in (metrics.neighbor_oracle(truth, graph), metrics.depth_oracle(counts, truth)):
        assert 0.1 < np.nanmean(metrics.pearson(truth, oracle)) < ceiling - 0.2


def log_normalized(counts: np.ndarray) -> np.ndarray:
    return np.log1p(1e4 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


@pytest.mark.parametrize("kind", [sparse.csc_array, np.asfortranarray, lambda c: pd.DataFrame(c).astype("UInt8")])
def test_depth_of_small_unsigned_counts(kind):
    counts = np.random.default_rng(0).integers(0, 250, (30, 40)).astype(np.uint8)
    layer = np.random.default_rng(1).normal(size=(30, 2))
    np.testing.assert_allclose(
        metrics.depth_oracle(kind(counts), layer), metrics.depth_oracle(counts.astype(float), layer)
    )
