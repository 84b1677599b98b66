from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from spatialhist.tl._predictors.components import is_whole, leading_components


def found(targets, rank):
    """Components, from products where there are more spots than genes."""
    n, n_genes = targets.shape
    return leading_components(targets if n < n_genes else targets.T @ targets, n, rank)


def drawn(n, n_genes):
    rng = np.random.default_rng(n)
    targets = rng.normal(size=(n, 3)) @ rng.normal(size=(3, n_genes)) + rng.normal(size=(n, n_genes))
    targets *= rng.uniform(1, 20, n_genes)
    return targets - targets.mean(axis=0)


@pytest.mark.parametrize("n", [50, 8], ids=["products", "targets"])
def test_factors_keep_the_leading_components_of_scaled_targets(n):
    targets = drawn(n, 12)
    deviation = targets.std(axis=0)
    pca = PCA(2).fit(targets / deviation)
    expected = pca.inverse_transform(pca.transform(targets / deviation)) * deviation
    components = found(targets, 2)
    np.testing.assert_allclose(targets @ components.left @ components.right, expected, atol=1e-10)
    np.testing.assert_allclose(np.abs(components.left[:, :1]), np.abs(found(targets, 1).left), atol=1e-10)


def test_components_that_spots_do_not_span_add_nothing():
    targets = np.repeat(drawn(3, 12), 2, axis=0)
    components = found(targets, 5)
    assert components.left.shape == (12, 2)
    np.testing.assert_allclose(targets @ components.left @ components.right, targets, atol=1e-9)


@pytest.mark.parametrize("n", [30, 4], ids=["products", "targets"])
def test_a_gene_that_never_varies_gets_no_share_of_the_others(n):
    targets = drawn(n, 5)
    targets[:, 1] = np.arange(n) * 1e-12
    components, others = found(targets, 2), found(np.delete(targets, 1, axis=1), 2)
    np.testing.assert_array_equal(components.left[1], 0)
    np.testing.assert_array_equal(components.right[:, 1], 0)
    rest = np.ix_([0, 2, 3, 4], [0, 2, 3, 4])
    np.testing.assert_allclose((components.left @ components.right)[rest], others.left @ others.right, atol=1e-9)


@pytest.mark.parametrize(("rank", "whole"), [(0, True), (3, False), (4, True), (5, True)])
def test_all_components_are_meant_by_zero_or_by_their_number(rank, whole):
    assert is_whole(rank, 4) is whole
