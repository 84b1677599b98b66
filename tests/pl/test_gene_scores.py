from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh


def points(ax):
    return np.column_stack(ax.lines[0].get_data())


def test_points_are_means_over_slides_then_groups(scores):
    ax = sh.pl.gene_scores(scores)
    # S2 and S3 are one group: (0.1 + mean(-0.1, 0)) / 2 = 0.025
    expected = [[0.925 + d, 0.525 + d] for d in (0.05, 0.0, -0.05)]
    np.testing.assert_allclose(points(ax), expected)
    assert ax.get_ylabel() == "within-slide Pearson r, stack"


def test_genes_beyond_depth_are_open_dots(scores):
    ax = sh.pl.gene_scores(scores)
    opened = np.column_stack(ax.lines[1].get_data())
    np.testing.assert_allclose(opened, points(ax) / 2)
    assert ax.lines[1].get_markerfacecolor() == "none"
    assert ax.get_xlabel().endswith("open: beyond depth\n(a lower bound of what is learned about genes)")
    assert sh.pl.gene_scores(scores[scores["metric"] == "pearson"]).get_xlabel() == "noise ceiling"


def test_best_genes_are_named(scores):
    assert [t.get_text() for t in sh.pl.gene_scores(scores, n_names=2).texts] == ["A", "B"]


def test_genes_that_a_group_lacks_are_not_named(scores):
    scores.loc[(scores["group"] == "P2") & (scores["target"] == "A"), "value"] = np.nan
    ax = sh.pl.gene_scores(scores, n_names=2)
    assert [t.get_text() for t in ax.texts] == ["B", "C"]
    assert len(points(ax)) == 3


def test_names_stand_below_each_other_with_a_line_to_their_dots(scores):
    ax = sh.pl.gene_scores(scores)
    placed = [t.xyann for t in ax.texts]
    assert np.all(np.diff([y for _, y in placed]) < -0.03)
    assert {x for x, _ in placed} == {placed[0][0]} and placed[0][0] < points(ax)[:, 0].min()
    np.testing.assert_allclose([t.xy for t in ax.texts], points(ax))


def test_predictor_can_be_chosen(scores):
    ax = sh.pl.gene_scores(scores, predictor="ridge")
    np.testing.assert_allclose(points(ax)[:, 1], [0.475, 0.425, 0.375])


def test_best_model_where_nothing_was_stacked(scores):
    ax = sh.pl.gene_scores(scores[scores["kind"] != "stack"])
    assert ax.get_ylabel().endswith("ridge")


def test_genes_without_ceiling_are_left_out(scores):
    scores.loc[(scores["predictor"] == "noise_ceiling") & (scores["target"] == "B"), "value"] = np.nan
    assert len(points(sh.pl.gene_scores(scores))) == 2


def test_missing_predictors(scores):
    with pytest.raises(KeyError, match="no predictor 'mlp'.*ridge"):
        sh.pl.gene_scores(scores, predictor="mlp")
    with pytest.raises(KeyError, match="no predictor 'noise_ceiling'"):
        sh.pl.gene_scores(scores[scores["kind"] != "oracle"])
    with pytest.raises(KeyError, match=r"no model or stack.*pass predictor="):
        sh.pl.gene_scores(scores[scores["kind"] == "baseline"])
