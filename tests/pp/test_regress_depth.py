from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LinearRegression

from spatialhist import pp


@pytest.fixture
def normalized(cohort):
    pp.log_normalize(cohort)
    return cohort


def of(cohort, slide):
    return (cohort["table"].obs["region"] == slide).to_numpy()


def test_equals_a_regression_on_log_depth_and_its_square_on_each_slide(normalized):
    pp.regress_depth(normalized)
    table = normalized["table"]
    layer = table.layers["log1p_beyond_depth"]
    assert layer.dtype == np.float32
    for slide in ("S1", "S2"):
        rows = of(normalized, slide)
        depth = np.log1p(np.asarray(table.X[rows].sum(axis=1)))
        values = table.layers["log1p"][rows].toarray().astype(float)
        x = np.hstack([depth, depth**2])
        expected = values - LinearRegression().fit(x, values).predict(x) + values.mean(axis=0)
        np.testing.assert_allclose(layer[rows], expected, atol=1e-4)
    assert table.uns["spatialhist"]["log1p_beyond_depth"]["layer"] == "log1p"


def test_another_slide_has_no_part_in_the_values(normalized):
    table, own = normalized["table"], of(normalized, "S1")
    pp.regress_depth(normalized)
    before = table.layers["log1p_beyond_depth"].copy()
    changed = table.X.toarray()
    changed[~own] = np.random.default_rng(3).poisson(90, changed[~own].shape)
    table.X = sp.csr_matrix(changed)
    pp.log_normalize(normalized)
    pp.regress_depth(normalized)
    after = table.layers["log1p_beyond_depth"]
    assert after[own].tobytes() == before[own].tobytes()
    assert not np.allclose(after[~own], before[~own])


def test_depth_is_that_of_the_counts_which_the_layer_was_made_from(cohort):
    table = cohort["table"]
    table.layers["counts"] = table.X.copy()
    pp.log_normalize(cohort, layer="counts")
    pp.regress_depth(cohort)
    expected = table.layers["log1p_beyond_depth"].copy()
    table.X = table.layers["log1p"].copy()
    pp.regress_depth(cohort)
    np.testing.assert_array_equal(table.layers["log1p_beyond_depth"], expected)


def test_spots_of_equal_depth_keep_their_values(normalized):
    table = normalized["table"]
    counts = table.X.toarray()
    counts[:, 0] += 400 - counts.sum(axis=1)
    table.X = sp.csr_matrix(counts)
    pp.log_normalize(normalized)
    pp.regress_depth(normalized)
    np.testing.assert_allclose(table.layers["log1p_beyond_depth"], table.layers["log1p"].toarray(), atol=1e-4)


def test_what_was_not_measured_or_is_marked_is_missing(normalized):
    table = normalized["table"]
    table.varm["measured"] = pd.DataFrame(True, index=table.var_names, columns=["S1", "S2"])
    table.varm["measured"].loc["G3", "S1"] = False
    table.obs["spot_qc"] = pd.Categorical([*["ok"] * (table.n_obs - 2), "low_activity", "low_activity"])
    pp.regress_depth(normalized)
    missing = np.isnan(table.layers["log1p_beyond_depth"])
    expected = np.zeros(table.shape, dtype=bool)
    expected[:30, 3] = True
    expected[-2:] = True
    np.testing.assert_array_equal(missing, expected)


def test_a_smoothed_layer_stays_marked_as_smoothed(normalized):
    pp.spot_distances(normalized)
    pp.smooth_expression(normalized, layer="log1p")
    pp.regress_depth(normalized, layer="log1p_smooth")
    assert normalized["table"].uns["spatialhist"]["log1p_smooth_beyond_depth"]["smoothed"]


def test_unknown_depth_is_refused_and_the_advice_works(cohort):
    table = cohort["table"]
    total = np.asarray(table.X.sum(axis=1)).ravel()
    pp.log_normalize(cohort)
    expected = regressed(cohort)
    table.X, table.uns["log1p"] = table.layers["log1p"].copy(), {"base": None}
    with pytest.raises(ValueError, match=r"depth behind layer 'log1p'.*obs\['total_counts'\]"):
        pp.regress_depth(cohort)
    assert "log1p_beyond_depth" not in table.layers
    table.obs["total_counts"] = total
    np.testing.assert_array_equal(regressed(cohort), expected)
    table.obs["molecules"] = table.obs.pop("total_counts")
    np.testing.assert_array_equal(regressed(cohort, depth="molecules"), expected)


def regressed(cohort, **options):
    pp.regress_depth(cohort, **options)
    return cohort["table"].layers.pop("log1p_beyond_depth")


def test_a_missing_layer_is_named(cohort):
    with pytest.raises(KeyError, match=r"no layer 'log1p'.*sh\.pp\.log_normalize\(sdata\)"):
        pp.regress_depth(cohort)


def test_spots_without_counts_are_refused(normalized):
    table = normalized["table"]
    counts = table.X.toarray()
    counts[7] = 0
    table.X = sp.csr_matrix(counts)
    with pytest.raises(ValueError, match=r"1 spots of slide 'S1' in X of table 'table' hold no count"):
        pp.regress_depth(normalized)


def test_values_that_are_not_finite_are_refused_and_the_advice_works(normalized):
    table = normalized["table"]
    table.layers["log1p"] = table.layers["log1p"].toarray()
    table.layers["log1p"][31, 2] = np.nan
    with pytest.raises(ValueError, match=r"1 spots of slide 'S2' in layers\['log1p'\] of table 'table' are NaN"):
        pp.regress_depth(normalized)
    pp.filter_spots(normalized, layer="log1p", min_counts=0, min_tissue=0)
    pp.regress_depth(normalized)
    assert np.isfinite(normalized["table"].layers["log1p_beyond_depth"]).all()
