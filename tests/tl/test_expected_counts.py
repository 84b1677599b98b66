from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist.tl._residuals import out_of_fold_residuals, residuals_without


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_new_slide_gets_the_factor_of_all_groups(finished):
    _, cv, stack = finished
    new = draw_cohort(9, n_slides=1, signal=0.8, images_seed=5)
    sh.tl.predict(new, stack, encoder=mean_color, progress=False)
    sh.tl.expected_counts(new, stack)
    table = new["table"]
    columns = table.var_names.get_indexer(cv.genes)
    errors, group = np.exp(out_of_fold_residuals(stack).astype(float)), cv.inputs.column("group")
    factor = np.nanmean([np.nanmean(errors[group == g], axis=0) for g in cv.groups], axis=0)
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
    found, plain = table.layers["counts"][known].mean(), np.expm1(table.layers["oof"])[known].mean()
    assert found == pytest.approx(measured, rel=0.1)
    assert abs(found - measured) < abs(plain - measured)


def test_a_held_out_group_gets_the_factor_of_models_that_have_not_seen_it(out_of_fold):
    sdata, cv, stack = out_of_fold
    sh.tl.expected_counts(sdata, stack, layer="oof")
    table = sdata["table"]
    columns = table.var_names.get_indexer([cv.genes[i] for i in cv.panels["P3"]])
    rows = np.flatnonzero(table.obs["region"] == "S3")
    errors, group = np.exp(residuals_without(stack, "P3").astype(float)), cv.inputs.column("group")
    factor = np.mean([errors[group == g][:, cv.panels["P3"]].mean(axis=0) for g in ("P1", "P2", "P4")], axis=0)
    ratio = (table.layers["oof_counts"][np.ix_(rows, columns)] + 1) / np.exp(table.layers["oof"][np.ix_(rows, columns)])
    np.testing.assert_allclose(ratio, np.tile(factor, (len(rows), 1)), rtol=1e-3)


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
