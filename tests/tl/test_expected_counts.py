from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist.tl._expected_counts import _factor


def ratio(cv, residuals, groups):
    """Measured over predicted, gene by gene, with every group counting the same."""
    truth, group = cv.inputs.samples(np.arange(len(residuals)), range(len(cv.genes))).targets, cv.inputs.column("group")
    factor = []
    for gene in range(len(cv.genes)):
        known = ~np.isnan(residuals[:, gene])
        if not known.any():
            factor.append(np.nan)
            continue
        of = [known & (group == g) for g in groups if (known & (group == g)).any()]
        y, p = truth[:, gene].astype(float), (truth - residuals)[:, gene].astype(float)
        factor.append(np.mean([np.exp(y[m]).mean() for m in of]) / np.mean([np.exp(p[m]).mean() for m in of]))
    return np.array(factor)


def test_a_new_slide_gets_the_factor_of_all_groups(finished):
    _, cv, stack = finished
    new = draw_cohort(9, n_slides=1, signal=0.8, images_seed=5)
    sh.tl.predict(new, stack, encoder=mean_color, progress=False)
    sh.tl.expected_counts(new, stack)
    table = new["table"]
    columns = table.var_names.get_indexer(cv.genes)
    factor = ratio(cv, stack.held_out().residuals(), cv.groups)
    expected = np.maximum(np.exp(table.layers["predicted"][:, columns].astype(float)) * factor - 1, 0)
    np.testing.assert_allclose(table.layers["predicted_counts"][:, columns], expected, rtol=1e-4)
    assert np.isnan(np.delete(table.layers["predicted_counts"], columns, axis=1)).all()
    assert table.uns["spatialhist"]["predicted_counts"]["target_sum"] == 1e4


@pytest.fixture
def out_of_fold(finished):
    """The slides of the run with their stacked predictions, to be changed."""
    sdata, cv, stack = finished
    copy = draw_cohort(1, signal=0.8)
    copy["table"].layers["oof"] = sdata["table"].layers["oof"].copy()
    copy["table"].uns["spatialhist"]["oof"] = sdata["table"].uns["spatialhist"]["oof"]
    return copy, cv, stack


def test_expected_counts_of_held_out_groups_have_the_mean_that_was_measured(out_of_fold):
    sdata, cv, stack = out_of_fold
    sh.tl.expected_counts(sdata, stack, layer="oof", key_added="counts")
    table = sdata["table"]
    known = np.isfinite(table.layers["oof"])
    measured = np.expm1(table.layers["log1p"].toarray())[known].mean()
    assert table.layers["counts"][known].mean() == pytest.approx(measured, rel=0.1)


def test_the_factor_of_new_slides_gives_held_out_groups_the_mean_that_was_measured(finished):
    sdata, cv, stack = finished
    factor = _factor(stack.held_out(), None)
    everywhere = np.flatnonzero(np.all([np.isin(range(len(cv.genes)), cv.panels[g]) for g in cv.groups], axis=0))
    columns = sdata["table"].var_names.get_indexer([cv.genes[i] for i in everywhere])
    predicted = np.exp(sdata["table"].layers["oof"][:, columns]) * factor[everywhere]
    measured = np.exp(sdata["table"].layers["log1p"].toarray()[:, columns])
    np.testing.assert_allclose(predicted.mean(axis=0), measured.mean(axis=0), rtol=1e-4)


def test_a_held_out_group_gets_the_factor_of_models_that_have_not_seen_it(out_of_fold):
    sdata, cv, stack = out_of_fold
    sh.tl.expected_counts(sdata, stack, layer="oof")
    table = sdata["table"]
    columns = table.var_names.get_indexer([cv.genes[i] for i in cv.panels["P3"]])
    rows = np.flatnonzero(table.obs["region"] == "S3")
    factor = ratio(cv, stack.held_out().residuals_without("P3"), ["P1", "P2", "P4"])[list(cv.panels["P3"])]
    found = (table.layers["oof_counts"][np.ix_(rows, columns)] + 1) / np.exp(table.layers["oof"][np.ix_(rows, columns)])
    np.testing.assert_allclose(found, np.tile(factor, (len(rows), 1)), rtol=1e-3)


def test_ranks_and_others_have_no_way_back(finished, out_of_fold, tmp_path):
    sdata, _, stack = out_of_fold
    ranked = draw_cohort(1, n_slides=3, n_genes=6)
    sh.pp.rank_expression(ranked, scale="unit")
    cv = sh.tl.cross_validate(
        ranked, models=sh.tl.Ridge(components=3), layer="ranks", genes=6, groups="patient", **FAST
    )
    with pytest.raises(ValueError, match="layer 'oof' predicts 'ranks', which has no way back to counts"):
        sh.tl.expected_counts(ranked, cv, layer="oof")
    assert "oof_counts" not in ranked["table"].layers
    with pytest.raises(KeyError, match="no layer 'predicted'"):
        sh.tl.expected_counts(sdata, stack)
    with pytest.raises(ValueError, match="pass what predicted it"):
        sh.tl.expected_counts(sdata, finished[1], layer="oof")
