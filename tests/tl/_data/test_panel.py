from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import rankdata
from small_cohorts import FAST, draw_cohort
from spatialdata.models import TableModel

import spatialhist as sh
from spatialhist._sdata.cohort import Cohort
from spatialhist._sdata.layers import dense_columns, gene_positions, record
from spatialhist.tl._data.panel import choose_panel, fold_panels, make_targets, slide_means, target_source

MEANS = {"a": np.array([5.0, 1, 3, 0]), "b": np.array([0.0, 2, 3, 9]), "c": np.array([0.0, 9, 0, 0])}
ALL = {s: np.ones(4, dtype=bool) for s in MEANS}


@pytest.fixture
def cohort():
    """Slides ``a`` (2 spots), ``b`` (3) and ``c`` (1) with four genes; ``c`` lacks ``g3``."""
    obs = pd.DataFrame({"region": [*"aabbbc"]}, index=[*"012345"])
    counts = np.array([[10, 0, 5, 5], [2, 2, 2, 2], [0, 0, 1, 0], [1, 7, 0, 8], [3, 0, 0, 1], [4, 4, 4, 0]], float)
    flags = pd.DataFrame({"a": True, "b": True, "c": [True, True, True, False]}, index=["g0", "g1", "g2", "g3"])
    table = ad.AnnData(csr_matrix(counts), obs=obs, var=pd.DataFrame(index=flags.index), varm={"measured": flags})
    return Cohort(None, table, ["a", "b", "c"])


@pytest.fixture
def rows(cohort):
    return {s: cohort.rows(s) for s in cohort.slides}


def test_panel_by_hand():
    # over a and b the means are 2.5, 1.5, 3, 4.5; c does not count
    assert choose_panel(MEANS, ALL, ["a", "b"], 2).tolist() == [2, 3]
    assert choose_panel(MEANS, ALL, ["a", "b"], 3).tolist() == [0, 2, 3]
    assert choose_panel(MEANS, ALL, ["a", "b"], 99).tolist() == [0, 1, 2, 3]


def test_equal_means_are_taken_in_the_order_of_the_table():
    assert choose_panel({"a": np.ones(4)}, {"a": np.ones(4, bool)}, ["a"], 2).tolist() == [0, 1]


def test_a_gene_that_a_training_slide_lacks_is_no_candidate():
    measured = ALL | {"b": np.array([True, True, True, False])}
    assert choose_panel(MEANS, measured, ["a", "b"], 2).tolist() == [0, 2]
    assert 3 in choose_panel(MEANS, measured, ["a", "c"], 4)


def test_no_gene_in_common_is_refused():
    measured = {"a": np.array([True, False]), "b": np.array([False, True])}
    with pytest.raises(ValueError, match="no gene was measured on all of the slides \\['a', 'b'\\]"):
        choose_panel({s: np.ones(2) for s in "ab"}, measured, ["a", "b"], 1)


def test_slide_means_are_log1p_per_ten_thousand(cohort, rows):
    counts = cohort.table.X.toarray()[3:5]
    expected = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(
        slide_means(cohort.table, cohort.every_slide(), {"b": np.array([3, 4])}, "X")["b"], expected, rtol=1e-5
    )


def test_a_fold_chooses_without_its_own_slides(cohort, rows):
    training = {"a": ["b", "c"], "c": ["a", "b"]}
    panels = fold_panels(cohort.table, cohort.every_slide(), rows, training, 3, "X")
    means = slide_means(cohort.table, cohort.every_slide(), rows, "X")
    best = np.argsort(-(means["a"] + means["b"]))[:3]
    assert panels["c"].tolist() == sorted(best)
    assert panels["a"].tolist() == [0, 1, 2]


def test_named_genes_are_modeled_where_training_slides_measured_them(cohort, rows):
    panels = fold_panels(
        cohort.table, cohort.every_slide(), rows, {"a": ["b", "c"], "c": ["a", "b"]}, ["g3", "g1"], "X"
    )
    assert panels["a"].tolist() == [1]
    assert panels["c"].tolist() == [1, 3]


def test_named_genes_that_no_fold_can_model_are_refused(cohort, rows):
    with pytest.raises(ValueError, match="none of the 1 named genes was measured on all training slides of fold 'a'"):
        fold_panels(cohort.table, cohort.every_slide(), rows, {"a": ["b", "c"]}, ["g3"], "X")


def test_genes_that_are_asked_for_join_every_panel(cohort, rows):
    training = {"a": ["b", "c"], "c": ["a", "b"]}
    chosen = fold_panels(cohort.table, cohort.every_slide(), rows, training, 1, "X")
    for genes in (1, ["g0"]):
        panels = fold_panels(cohort.table, cohort.every_slide(), rows, training, genes, "X", ["g1", "g3"])
        own = chosen if genes == 1 else {"a": [0], "c": [0]}
        assert panels["a"].tolist() == sorted({*own["a"], 1})  # slide c lacks g3
        assert panels["c"].tolist() == sorted({*own["c"], 1, 3})
    with pytest.raises(KeyError, match="g9"):
        fold_panels(cohort.table, cohort.every_slide(), rows, training, 1, "X", "g9")


@pytest.mark.parametrize("genes", [0, -3])
def test_a_panel_has_at_least_one_gene(cohort, rows, genes):
    with pytest.raises(ValueError, match=f"genes={genes} must be at least 1"):
        fold_panels(cohort.table, cohort.every_slide(), rows, {"a": ["b"]}, genes, "X")


def test_names_are_checked(cohort):
    assert gene_positions(cohort.table, ["g2", "g0"]).tolist() == [2, 0]
    with pytest.raises(KeyError, match="2 genes are not in the table, e.g. \\['x', 'y'\\]"):
        gene_positions(cohort.table, ["g0", "x", "y"])
    with pytest.raises(ValueError, match="named twice: \\['g1'\\]"):
        gene_positions(cohort.table, ["g1", "g0", "g1"])


def test_columns_of_sparse_and_dense_are_the_same(cohort):
    rows, columns = np.array([4, 1]), np.array([3, 0])
    expected = cohort.table.X.toarray()[np.ix_(rows, columns)]
    for matrix in (cohort.table.X, cohort.table.X.toarray()):
        part = dense_columns(matrix, rows, columns)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, expected)


def test_targets_of_a_plain_layer_are_its_values(cohort):
    cohort.table.layers["log1p"] = cohort.table.X
    record(cohort.table, "log1p", {"target_sum": 1e4, "layer": "X"})
    matrix, ranking = target_source(cohort.table, "log1p")
    assert matrix is cohort.table.layers["log1p"]
    assert ranking is None
    assert make_targets(np.eye(2), None).tolist() == np.eye(2).tolist()


def test_targets_of_ranks_are_ranked_within_the_panel(cohort):
    cohort.table.layers["ranks"] = cohort.table.X * 0
    record(cohort.table, "ranks", {"method": "average", "scale": "raw", "layer": "X"})
    matrix, ranking = target_source(cohort.table, "ranks")
    assert matrix is cohort.table.X
    values = dense_columns(matrix, np.arange(6), np.array([0, 2, 3]))
    np.testing.assert_array_equal(make_targets(values, ranking), rankdata(values, axis=1))


def test_smoothed_ranks_are_taken_as_they_are(cohort):
    cohort.table.layers["ranks_smooth"] = cohort.table.X * 2
    record(
        cohort.table,
        "ranks_smooth",
        {"method": "average", "scale": "raw", "layer": "ranks", "smoothed": True},
    )
    matrix, ranking = target_source(cohort.table, "ranks_smooth")
    assert matrix is cohort.table.layers["ranks_smooth"]
    assert ranking is None


def test_panel_follows_the_counts_that_the_layer_was_made_from(cohort):
    told = cohort.table.X[:, [3, 2, 1, 0]]
    cohort.table.layers["counts"] = told
    cohort.table.X = cohort.table.X.copy()
    cohort.table.X.data = np.log1p(cohort.table.X.data)
    record(cohort.table, "log1p", {"layer": "counts"})
    expected = np.log1p(1e4 * told.toarray() / told.sum(axis=1))[3]
    found = slide_means(cohort.table, cohort.every_slide(), {"b": np.array([3])}, "log1p")["b"]
    np.testing.assert_allclose(found, np.asarray(expected).ravel(), rtol=1e-5)


def test_no_logarithm_is_taken_of_what_holds_no_counts(cohort):
    cohort.table.X = cohort.table.X * 0.25
    found = slide_means(cohort.table, cohort.every_slide(), {"b": np.array([3, 4])}, "X")["b"]
    np.testing.assert_allclose(found, cohort.table.X.toarray()[3:5].mean(axis=0))


def test_advice_on_missing_targets_helps_when_followed():
    """Proportions of cell types, in a table beside the main one, are NaN where they could not be told."""
    sdata = draw_cohort(2, n_slides=2)
    main = sdata["table"]
    values = np.random.default_rng(0).dirichlet([1, 1, 1], main.n_obs).astype(np.float32)
    values[[5, 100]] = np.nan
    cells = ad.AnnData(values, obs=main.obs[["region", "spot_id", "patient"]].copy())
    sdata.tables["cells"] = TableModel.parse(cells, region=["S1", "S2"], region_key="region", instance_key="spot_id")
    options = {"layer": "X", "genes": ["0", "1"], "table_key": "cells", "models": "ridge", "groups": "patient"}
    with pytest.raises(ValueError, match="1 spots of slide 'S1' are NaN or infinite in layer 'X'") as error:
        sh.tl.cross_validate(sdata, **options, **FAST)
    eval(re.search(r"sh\.pp\.\w+\(.*\)", str(error.value)).group())
    sh.tl.cross_validate(sdata, **options, **FAST)
    assert sdata["table"].n_obs == sdata["cells"].n_obs == main.n_obs - 2
