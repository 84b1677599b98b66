from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from spatialhist import pp


def counts_of(cohort, slide):
    rows = (cohort["table"].obs["region"] == slide).to_numpy()
    return rows, cohort["table"].X[rows].toarray().astype(float)


def by_formula(counts, theta, clip):
    mean = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    with np.errstate(invalid="ignore"):
        residuals = (counts - mean) / np.sqrt(mean + mean**2 / theta)
    return np.clip(np.nan_to_num(residuals), -clip, clip)


@pytest.mark.parametrize(("theta", "clip"), [(100.0, None), (3.0, 0.7)])
def test_equals_the_formula_on_each_slide(cohort, theta, clip):
    before = cohort["table"].X.copy()
    pp.pearson_residuals(cohort, theta=theta, clip=clip)
    layer = cohort["table"].layers["pearson_residuals"]
    assert layer.dtype == np.float32
    assert (cohort["table"].X != before).nnz == 0
    for slide, n in (("S1", 30), ("S2", 24)):
        rows, counts = counts_of(cohort, slide)
        np.testing.assert_allclose(layer[rows], by_formula(counts, theta, clip or np.sqrt(n)), atol=1e-5)
    assert cohort["table"].uns["spatialhist"]["pearson_residuals"]["theta"] == theta


def test_dense_and_sparse_counts_give_the_same(cohort):
    pp.pearson_residuals(cohort)
    sparse = cohort["table"].layers["pearson_residuals"]
    cohort["table"].layers["dense"] = cohort["table"].X.toarray()
    pp.pearson_residuals(cohort, layer="dense", key_added="of_dense")
    np.testing.assert_allclose(cohort["table"].layers["of_dense"], sparse, rtol=1e-6)
    assert cohort["table"].uns["spatialhist"]["of_dense"]["layer"] == "dense"


def test_another_slide_has_no_part_in_the_values(cohort):
    pp.pearson_residuals(cohort)
    table = cohort["table"]
    before, own = table.layers["pearson_residuals"].copy(), (table.obs["region"] == "S1").to_numpy()
    changed = table.X.toarray()
    changed[~own] = np.random.default_rng(3).poisson(90, changed[~own].shape)
    table.X = sp.csr_matrix(changed)
    pp.pearson_residuals(cohort)
    after = table.layers["pearson_residuals"]
    assert after[own].tobytes() == before[own].tobytes()
    assert not np.allclose(after[~own], before[~own])


def test_what_was_not_measured_is_missing_and_what_was_never_counted_is_as_expected(cohort):
    table = cohort["table"]
    table.varm["measured"] = pd.DataFrame(True, index=table.var_names, columns=["S1", "S2"])
    table.varm["measured"].loc["G0", "S2"] = False
    table.obs["spot_qc"] = pd.Categorical(["off_tissue", *["ok"] * (table.n_obs - 1)])
    counts = table.X.toarray()
    counts[:30, 5] = 0
    table.X = sp.csr_matrix(counts)
    pp.pearson_residuals(cohort)
    layer, rest = table.layers["pearson_residuals"], slice(1, 30)
    assert np.isnan(layer[0]).all()
    assert np.isnan(layer[30:, 0]).all()
    assert (layer[rest, 5] == 0).all()
    np.testing.assert_allclose(layer[rest], by_formula(counts[rest], 100.0, np.sqrt(29)), atol=1e-5)
    assert np.isfinite(layer[30:, 1:]).all()


@pytest.mark.parametrize("value", [0.5, -3.0])
def test_what_is_no_count_is_refused_and_the_advice_works(cohort, value):
    table = cohort["table"]
    table.layers["counts"] = table.X.copy()
    table.X = table.X.toarray()
    table.X[40, 2] = value
    advice = rf"e\.g\. {value:.4g} on 'S2'.*call sh\.pp\.pearson_residuals\(sdata, layer='counts'\)"
    with pytest.raises(ValueError, match=advice):
        pp.pearson_residuals(cohort)
    assert "pearson_residuals" not in table.layers
    pp.pearson_residuals(cohort, layer="counts")


@pytest.mark.parametrize(("value", "what", "least"), [(np.nan, "are NaN", 0), (0.0, "hold no count", 1)])
def test_spots_without_depth_are_named_and_the_advice_works(cohort, value, what, least):
    table = cohort["table"]
    table.X = table.X.toarray()
    table.X[[33, 50]] = value
    advice = (
        rf"2 spots of slide 'S2' in X of table 'table' {what}.*filter_spots\(sdata, min_counts={least}, min_tissue=0\)"
    )
    with pytest.raises(ValueError, match=advice):
        pp.pearson_residuals(cohort)
    pp.filter_spots(cohort, min_counts=least, min_tissue=0)
    pp.pearson_residuals(cohort)
    assert len(cohort["table"]) == 52


def test_an_empty_slide_is_named_and_the_advice_works(cohort):
    table = cohort["table"]
    own = (table.obs["region"] == "S1").to_numpy()
    table.X = sp.csr_matrix(np.where(own[:, None], table.X.toarray(), 0))
    advice = r"24 spots of slide 'S2'.*filter_spots\(sdata, drop=False, min_counts=1, min_tissue=0\)"
    with pytest.raises(ValueError, match=advice):
        pp.pearson_residuals(cohort)
    pp.filter_spots(cohort, drop=False, min_counts=1, min_tissue=0)
    pp.pearson_residuals(cohort)
    np.testing.assert_array_equal(np.isfinite(table.layers["pearson_residuals"]).all(axis=1), own)


def test_options_out_of_range_and_too_large_layers_are_refused(cohort):
    with pytest.raises(ValueError, match="theta=0"):
        pp.pearson_residuals(cohort, theta=0)
    with pytest.raises(ValueError, match="clip=-1"):
        pp.pearson_residuals(cohort, clip=-1)
    with pytest.raises(MemoryError, match="select_genes"):
        pp.pearson_residuals(cohort, max_layer_gb=1e-9)
    assert "pearson_residuals" not in cohort["table"].layers
