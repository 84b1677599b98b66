from __future__ import annotations

import numpy as np
import pytest

from spatialhist import pp
from spatialhist._sdata.build import concat_slides


def log1p(counts):
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)


def test_mean_is_taken_per_slide_and_then_over_slides(slide_of, lattice):
    many, few = lattice(5, 4, 20.0, (30, 30)), lattice(2, 1, 20.0, (30, 30))
    rng = np.random.default_rng(0)
    a, b = rng.poisson([30, 5, 5, 9], (20, 4)) + 1, rng.poisson([1, 40, 2, 9], (2, 4)) + 1
    sdata = concat_slides([slide_of("S1", many, a, size=(160, 120)), slide_of("S2", few, b, size=(90, 80))])
    pp.select_genes(sdata, n=2)
    score = (log1p(a).mean(axis=0) + log1p(b).mean(axis=0)) / 2
    assert set(np.flatnonzero(sdata["table"].var["selected"])) == set(np.argsort(-score)[:2])
    assert sdata["table"].n_vars == 4


def test_variance_finds_the_gene_that_varies(slide_of, lattice):
    xy = lattice(5, 4, 20.0, (30, 30))
    counts = np.full((20, 3), 50)
    counts[::2, 1] = 1
    sdata = slide_of("S1", xy, counts, size=(160, 120))
    pp.select_genes(sdata, n=1, by="variance")
    assert list(sdata["table"].var_names[sdata["table"].var["selected"]]) == ["G1"]


def test_subset_keeps_table_and_slides_in_step(cohort):
    pp.spot_distances(cohort)
    pp.select_genes(cohort, n=3, subset=True)
    table = cohort["table"]
    assert table.shape == (54, 3)
    assert table.varm["measured"].shape == (3, 2)
    assert table.obsp["spatial_distances"].shape == (54, 54)
    assert table.var["selected"].all()
    pp.select_genes(cohort, n=3, subset=True)
    assert cohort["table"].n_vars == 3


def test_a_gene_counts_only_where_it_was_measured(slide_of, lattice):
    xy = lattice(3, 2, 20.0, (30, 30))
    first = slide_of("S1", xy, np.tile([90, 10], (6, 1)), size=(120, 90), genes=["A", "B"])
    second = slide_of("S2", xy, np.tile([99, 1], (6, 1)), size=(120, 90), genes=["C", "B"])
    unmeasured = slide_of("S3", xy, np.zeros((6, 2)), size=(120, 90), genes=["A", "C"], measured=False)
    sdata = concat_slides([first, second, unmeasured])
    pp.select_genes(sdata, n=2)
    assert list(sdata["table"].var_names[sdata["table"].var["selected"]]) == ["A", "C"]


def test_all_genes_where_there_are_fewer(cohort):
    pp.select_genes(cohort, n=100)
    assert cohort["table"].var["selected"].all()


def test_wrong_arguments_are_named(cohort):
    with pytest.raises(ValueError, match="n=0"):
        pp.select_genes(cohort, n=0)
    with pytest.raises(ValueError, match="by='hvg' is not one of"):
        pp.select_genes(cohort, by="hvg")
    cohort["table"].obs["measured"] = False
    with pytest.raises(ValueError, match="no spot is measured"):
        pp.select_genes(cohort)


def test_logarithms_taken_for_counts_are_named(cohort):
    cohort["table"].X = cohort["table"].X.log1p()
    with pytest.warns(UserWarning, match="X of table 'table' is taken for raw counts, .*'S1', 'S2'"):
        pp.select_genes(cohort)
