from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from spatialhist import pp
from spatialhist.pp._expression.normalize import log1p_counts


def by_scanpy(counts, target_sum):
    import scanpy as sc

    adata = ad.AnnData(counts.copy())
    sc.pp.normalize_total(adata, target_sum=target_sum)
    sc.pp.log1p(adata)
    return adata.X


@pytest.mark.parametrize("target_sum", [1e4, 37.0])
def test_equals_scanpy_dense_and_sparse(target_sum):
    counts = np.random.default_rng(0).poisson(1, (20, 7)).astype(np.float32)
    counts[3] = 0
    expected = by_scanpy(counts, target_sum)
    np.testing.assert_allclose(log1p_counts(counts, target_sum), expected, rtol=1e-6)
    sparse = log1p_counts(sp.csr_matrix(counts), target_sum)
    assert sp.issparse(sparse)
    np.testing.assert_allclose(sparse.toarray(), expected, rtol=1e-6)


def test_adds_a_sparse_float32_layer_and_leaves_counts_alone(cohort):
    before = cohort["table"].X.copy()
    pp.log_normalize(cohort)
    layer = cohort["table"].layers["log1p"]
    assert sp.issparse(layer)
    assert layer.dtype == np.float32
    np.testing.assert_allclose(np.expm1(layer.toarray()).sum(axis=1), 1e4, rtol=1e-5)
    assert (cohort["table"].X != before).nnz == 0
    assert cohort["table"].uns["spatialhist"]["log1p"]["target_sum"] == 1e4


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_values_that_are_not_finite_stay_and_do_not_count(kind):
    result = log1p_counts(kind(np.array([[1.0, np.nan, 3.0], [0, 0, 0]])), 8.0)
    result = result.toarray() if sp.issparse(result) else result
    np.testing.assert_allclose(result, [[np.log(3), np.nan, np.log(7)], [0, 0, 0]], rtol=1e-6)


def test_negative_counts_are_refused(cohort):
    cohort["table"].layers["z"] = cohort["table"].X.toarray() - 1000
    with pytest.raises(ValueError, match="must not be negative"):
        pp.log_normalize(cohort, layer="z")
    assert "log1p" not in cohort["table"].layers


def test_target_sum_must_be_positive(cohort):
    with pytest.raises(ValueError, match="target_sum=0"):
        pp.log_normalize(cohort, target_sum=0)


def test_logarithms_taken_for_counts_are_named(cohort):
    table = cohort["table"]
    table.layers["counts"] = table.X.copy()
    pp.log_normalize(cohort, layer="counts")
    table.X = table.layers["log1p"].copy()
    table.uns["log1p"] = {"base": None}
    with pytest.warns(UserWarning, match=r"uns\['log1p'\].*call sh\.pp\.log_normalize\(sdata, layer='counts'\)"):
        pp.log_normalize(cohort)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pp.log_normalize(cohort, layer="counts")
    np.testing.assert_array_equal(table.layers["log1p"].toarray(), table.X.toarray())
