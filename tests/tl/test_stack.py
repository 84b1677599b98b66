from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist.tl import Ridge
from spatialhist.tl._predictors.combiners import fit_weights
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.stack import Stack


@pytest.fixture
def finished(finished):
    """A fresh table for every test: stacking adds layers."""
    sdata, cv, stacked = finished
    return SimpleNamespace(sdata=draw_cohort(1, signal=0.8), cv=cv, stacked=stacked, oof=sdata["table"].layers["oof"])


def test_weights_that_judge_a_group_come_from_fits_without_it(finished):
    cv, judged = finished.cv, "P2"
    inner, group = cv.inner(), cv.inputs.column("group")
    rows, predictions = [], []
    for other in ("P1", "P3", "P4"):
        fits = [inner[judged, other, m.name] for m in cv.models]
        assert all(set(f.held_out) == {judged, other} for f in fits)
        held = fits[0].result()[0]
        mine = group[held] == other
        rows.append(held[mine])
        predictions.append(np.stack([f.result()[1][mine] for f in fits]))
    samples = cv.inputs.samples(np.concatenate(rows), cv.panels[judged])
    expected = fit_weights(np.concatenate(predictions, axis=1), samples.targets, samples.slide, samples.group)
    np.testing.assert_array_equal(finished.stacked.by_group[judged].weights, expected.weights)
    base = np.stack([cv.outer()[judged, m.name].result()[1] for m in cv.models])
    columns = finished.sdata["table"].var_names.get_indexer([cv.genes[i] for i in cv.panels[judged]])
    layer = finished.oof[np.ix_(np.flatnonzero(finished.sdata["table"].obs["patient"] == judged), columns)]
    np.testing.assert_array_equal(layer, expected.apply(base))


def test_final_weights_come_from_all_out_of_fold_predictions(finished):
    cv = finished.cv
    predictions = np.stack([cv.out_of_fold(m.name) for m in cv.models])
    samples = cv.inputs.samples(np.arange(len(cv.inputs)), range(len(cv.genes)))
    targets = np.where(np.isnan(predictions[0]), np.nan, samples.targets)
    assert np.isnan(targets).any()
    for values in (*predictions, targets):
        for gene in values.T:
            gene[np.isnan(gene)] = np.nanmean(gene)
    expected = fit_weights(predictions, targets, samples.slide, samples.group)
    np.testing.assert_allclose(finished.stacked.final.weights, expected.weights, atol=1e-4)
    np.testing.assert_allclose(finished.stacked.final.intercept, expected.intercept, atol=1e-3)


@pytest.mark.parametrize("method", ["nnls", "mean", "rank_mean"])
def test_a_stack_is_the_same_twice_and_after_loading(finished, method):
    stacked = sh.tl.stack(finished.sdata, finished.cv, method=method, key_added="oof_a")
    sh.tl.stack(finished.sdata, finished.cv, method=method, key_added="oof_b")
    layers = finished.sdata["table"].layers
    assert layers["oof_a"].tobytes() == layers["oof_b"].tobytes()
    again = Stack.load(CrossValidation.load(finished.cv.folder), method)
    predictions = np.random.default_rng(0).normal(size=(2, 5, len(finished.cv.genes))).astype(np.float32)
    assert again.final.apply(predictions).tobytes() == stacked.final.apply(predictions).tobytes()
    assert list(again.by_group) == list(stacked.by_group)


def test_mean_by_hand_and_provenance(finished):
    sh.tl.stack(finished.sdata, finished.cv, method="mean", key_added="oof_mean")
    table = finished.sdata["table"]
    expected = np.mean([finished.cv.out_of_fold(m.name) for m in finished.cv.models], axis=0)
    found = table.layers["oof_mean"][:, table.var_names.get_indexer(finished.cv.genes)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    entry = table.uns["spatialhist"]["oof_mean"]
    assert (entry["predictor"], entry["kind"], entry["target"]) == ("stack_mean", "stack", "log1p")
    sh.tl.stack(finished.sdata, finished.cv, method="rank_mean", key_added="oof_rank")
    assert table.uns["spatialhist"]["oof_rank"]["space"] == "ranks"


def test_what_cannot_be_stacked_is_refused(finished, tmp_path):
    sdata, cv = finished.sdata, finished.cv
    with pytest.raises(ValueError, match="method='vote' is not one of \\['nnls', 'mlp', 'mean', 'rank_mean'\\]"):
        sh.tl.stack(sdata, cv, method="vote")
    with pytest.raises(ValueError, match="'mlp' needs at least 5 groups"):
        sh.tl.stack(sdata, cv, method="mlp")
    with pytest.raises(ValueError, match="key_added='a b' must hold only"):
        sh.tl.stack(sdata, cv, key_added="a b")
    one = CrossValidation(cv.folder, cv.manifest, cv.models[:1], cv.baselines)
    with pytest.raises(ValueError, match="the run holds one model \\('ridge'\\): there is nothing to stack"):
        sh.tl.stack(sdata, one)
    assert not any(k.startswith("oof") for k in layer_names(sdata["table"]))


def test_another_object_is_refused(finished):
    fewer = finished.sdata
    fewer.tables["table"] = fewer["table"][5:].copy()
    with pytest.raises(ValueError, match="does not hold the spots and genes of the run .*'S1': 96.*found .*'S1': 91"):
        sh.tl.stack(fewer, finished.cv)


def test_stacking_needs_no_more_than_three_groups_and_a_group_may_be_called_final(tmp_path):
    sdata = draw_cohort(2, n_slides=3, n_genes=5, signal=0.8)
    sdata["table"].obs["fold"] = sdata["table"].obs["region"].map({"S1": "final", "S2": "b", "S3": "c"}).astype(str)
    models = [Ridge(components=4), Ridge(name="ridge_raw", standardized=False, components=4)]
    cv = sh.tl.cross_validate(sdata, models=models, genes=3, groups="fold", out=tmp_path, **FAST)
    sh.tl.stack(sdata, cv)
    again = Stack.load(CrossValidation.load(tmp_path), "nnls")
    assert again.by_group["final"].weights.shape == (2, 3)
    assert again.final.weights.shape == (2, len(cv.genes))
