from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from spatialhist import pp
from spatialhist._sdata.images import add_mask


@pytest.fixture
def graph(cohort):
    pp.rank_expression(cohort)
    pp.spot_distances(cohort)
    return cohort


def by_loop(values, distances, kernel):
    """Weighted mean over each spot and its neighbors, value by value."""
    result = np.full(values.shape, np.nan)
    for i in range(len(values)):
        near = np.flatnonzero(distances[i])
        weights = np.array([kernel(0.0), *(kernel(d) for d in distances[i, near])])
        for g in range(values.shape[1]):
            column = values[[i, *near], g]
            known = ~np.isnan(column)
            if known[0]:
                result[i, g] = (weights[known] * column[known]).sum() / weights[known].sum()
    return result


def test_gaussian_has_a_standard_deviation_of_one_pitch_of_the_slide(graph):
    pp.smooth_expression(graph)
    table = graph["table"]
    distances = table.obsp["spatial_distances"].toarray()
    for rows, pitch in ((slice(0, 30), 20.0), (slice(30, 54), 26.0)):
        truth = by_loop(
            table.layers["ranks"][rows], distances[rows, rows], lambda d, p=pitch: np.exp(-((d / p) ** 2) / 2)
        )
        np.testing.assert_allclose(table.layers["ranks_smooth"][rows], truth, rtol=1e-5)
    assert table.layers["ranks_smooth"].dtype == np.float32


def test_uniform_with_missing_values(graph):
    values = graph["table"].layers["ranks"]
    values[4] = np.nan
    values[11, 3] = np.nan
    pp.smooth_expression(graph, weights="uniform", key_added="even")
    truth = by_loop(values, graph["table"].obsp["spatial_distances"].toarray(), lambda d: 1.0)
    np.testing.assert_allclose(graph["table"].layers["even"], truth, rtol=1e-5)


def test_sparse_stays_sparse_and_equals_dense(graph):
    pp.log_normalize(graph)
    table = graph["table"]
    table.layers["dense"] = table.layers["log1p"].toarray()
    pp.smooth_expression(graph, layer="log1p")
    pp.smooth_expression(graph, layer="dense")
    assert sp.issparse(table.layers["log1p_smooth"])
    np.testing.assert_allclose(table.layers["log1p_smooth"].toarray(), table.layers["dense_smooth"], rtol=1e-5)


def test_slides_never_mix_and_constants_stay(graph):
    table = graph["table"]
    table.layers["ranks"][:30], table.layers["ranks"][30:] = 1, 5
    pp.smooth_expression(graph)
    np.testing.assert_allclose(table.layers["ranks_smooth"][:30], 1, rtol=1e-6)
    np.testing.assert_allclose(table.layers["ranks_smooth"][30:], 5, rtol=1e-6)


def test_nothing_is_averaged_across_a_gap(graph):
    table = graph["table"]
    x = table.obsm["spatial"][:30, 0]
    mask = np.ones((130, 180), dtype=bool)
    mask[:, 82:89] = False
    add_mask(graph, mask, image="S1_full_image")
    table.layers["ranks"][:30] = np.where(x < 85, 1, 3)[:, None]
    pp.smooth_expression(graph)
    np.testing.assert_allclose(table.layers["ranks_smooth"][:30], table.layers["ranks"][:30], rtol=1e-6)
    assert list(table.uns["spatialhist"]["ranks_smooth"]["edge_aware"]) == ["S1"]


def test_nearest_and_radius_limit_the_neighbors(graph):
    table = graph["table"]
    pp.spot_distances(graph, radius=("pitch", 2.1))
    pp.smooth_expression(graph, weights="uniform", radius=("pitch", 1.2), key_added="near")
    distances = table.obsp["spatial_distances"].toarray()
    limit = np.where(np.arange(54) < 30, 24.0, 31.2)[:, None]
    truth = by_loop(table.layers["ranks"], np.where(distances <= limit, distances, 0), lambda d: 1.0)
    np.testing.assert_allclose(table.layers["near"], truth, rtol=1e-5)
    pp.smooth_expression(graph, weights="uniform", n_neighs=6, key_added="six")
    np.testing.assert_allclose(table.layers["six"][14], truth[14], rtol=1e-5)


def test_is_recorded_as_smoothed_with_what_it_was_made_of(graph):
    pp.smooth_expression(graph)
    entry = graph["table"].uns["spatialhist"]["ranks_smooth"]
    assert entry["smoothed"] is True
    assert entry["method"] == "average"
    assert "smoothed" not in graph["table"].uns["spatialhist"]["ranks"]


def test_errors_name_the_way_out(cohort):
    with pytest.raises(KeyError, match="no layer 'ranks'.*rank_expression"):
        pp.smooth_expression(cohort)
    pp.rank_expression(cohort)
    with pytest.raises(KeyError, match="spot_distances"):
        pp.smooth_expression(cohort)
    pp.spot_distances(cohort)
    with pytest.raises(ValueError, match="30.0 px.*spot_distances.*'pitch', 3"):
        pp.smooth_expression(cohort, radius=("pitch", 3))
    with pytest.raises(ValueError, match="weights='box' is not one of"):
        pp.smooth_expression(cohort, weights="box")
    assert "ranks_smooth" not in cohort["table"].layers


def test_a_sparse_layer_that_would_fill_up_is_refused_before(cohort):
    pp.log_normalize(cohort)
    pp.spot_distances(cohort)
    assert sp.issparse(cohort["table"].layers["log1p"])
    pp.smooth_expression(cohort, layer="log1p")
    size = cohort["table"].layers.pop("log1p_smooth").nnz * 8 / 1e9
    text = r"the smoothed layer needs about \S+ GB, more than max_layer_gb=.*sh.pp.select_genes\(sdata, n=2000, subset=True\)"
    with pytest.raises(MemoryError, match=text):
        pp.smooth_expression(cohort, layer="log1p", max_layer_gb=0.9 * size)
    assert "log1p_smooth" not in cohort["table"].layers
    pp.smooth_expression(cohort, layer="log1p", max_layer_gb=1.1 * size)
