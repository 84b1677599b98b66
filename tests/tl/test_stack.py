from __future__ import annotations

import shutil
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist.tl import Ridge
from spatialhist.tl._predictors.combiners import NonNegative
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.stack import Stack


@pytest.fixture
def finished(finished, tmp_path_factory):
    """A fresh table and folder for every test: stacking adds to both."""
    sdata, cv, stacked = finished
    folder = tmp_path_factory.mktemp("own") / "run"
    shutil.copytree(cv.folder, folder)
    own = CrossValidation.load(folder)
    return SimpleNamespace(sdata=draw_cohort(1, signal=0.8), cv=own, stacked=stacked, oof=sdata["table"].layers["oof"])


def test_weights_that_evaluate_a_group_come_from_fits_without_it(finished):
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
    expected = NonNegative().fit(
        np.concatenate(predictions, axis=1), samples.targets, slide=samples.slide, group=samples.group
    )
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
    expected = NonNegative().fit(predictions, targets, slide=samples.slide, group=samples.group)
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


def test_another_stack_of_the_same_run_is_told(finished, caplog):
    sh.tl.stack(finished.sdata, finished.cv, method="mean")
    sh.tl.stack(finished.sdata, finished.cv, method="mean")
    assert not caplog.records
    sh.tl.stack(finished.sdata, finished.cv, method="nnls")
    assert "held a stack of the same run by method='mean'" in caplog.text


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


def test_only_a_cross_validation_is_stacked_and_its_folder_says_how(finished):
    sdata, cv = finished.sdata, finished.cv
    for given in (None, str(cv.folder), sh.tl.stack(sdata, cv, method="mean", key_added="again")):
        with pytest.raises(TypeError, match="is no cross-validation: .*CrossValidation.load"):
            sh.tl.stack(sdata, given)
    # the way out works
    loaded = sh.tl.CrossValidation.load(cv.folder)
    assert sh.tl.stack(sdata, loaded, method="mean", key_added="again").method == "mean"


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


def test_the_way_of_the_readme_runs_to_its_end_with_two_groups(tmp_path):
    sdata = draw_cohort(2, n_slides=2, n_genes=5, signal=0.8)
    models = [Ridge(components=4), Ridge(name="ridge_raw", standardized=False, components=4)]
    cv = sh.tl.cross_validate(sdata, models=models, genes=3, groups="slide", out=tmp_path, **FAST)
    with pytest.warns(UserWarning) as told:
        stacked = sh.tl.stack(sdata, cv)
    assert [str(w.message) for w in told if "stack" in str(w.message)] == [
        "the run has 2 groups, too few to fit weights of a stack and evaluate them on others: the 2 models are averaged; "
        "weights need 3 groups"
    ]
    expected = np.mean([cv.out_of_fold(m.name) for m in models], axis=0)
    np.testing.assert_allclose(stacked.out_of_fold(), expected, rtol=1e-6)
    assert "stack_mean" in set(sh.tl.summarize(sh.tl.evaluate(sdata)).index)
    new = draw_cohort(4, n_slides=1, images_seed=9)
    sh.tl.predict(new, tmp_path, encoder=FAST["encoder"], progress=False)
    assert np.isfinite(new["table"][:, cv.genes].layers["predicted"]).all()
    with pytest.raises(ValueError, match="'nnls' needs at least 3 groups, .*: use method='mean'"):
        sh.tl.stack(sdata, cv, method="nnls")


@dataclass(frozen=True)
class Shrunk:
    """The mean of the models, drawn to the mean of the targets."""

    name: str = "shrunk"
    share: float = 0.25
    min_groups: ClassVar[int] = 3
    needs_inner: ClassVar[bool] = True
    in_ranks: ClassVar[bool] = False

    def fit(self, predictions, targets, *, slide, group, seed, scratch):
        return FittedShrunk(self.share, targets.mean(axis=0), np.unique(group))

    def restore(self, state):
        return FittedShrunk(state[1]["share"], state[0]["mean"])


@dataclass(frozen=True)
class FittedShrunk:
    share: float
    mean: np.ndarray
    groups: np.ndarray | None = None

    def apply(self, predictions):
        return predictions.mean(axis=0) * (1 - self.share) + self.mean * self.share

    def state(self):
        return {"mean": self.mean}, {"share": self.share}


def test_a_combiner_of_the_users_sees_other_groups_only_and_survives_its_folder(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.cv.folder, folder)
    sdata, cv, mine = finished.sdata, CrossValidation.load(folder), Shrunk()
    stacked = sh.tl.stack(sdata, cv, method=mine)
    assert {g: list(c.groups) for g, c in stacked.by_group.items()} == {
        g: [other for other in cv.groups if other != g] for g in cv.groups
    }
    rows = np.flatnonzero(cv.inputs.column("group") == "P2")
    others = np.setdiff1d(np.arange(len(cv.inputs)), rows)
    level = cv.targets(others, "P2").mean(axis=0)
    found = stacked.out_of_fold()[np.ix_(rows, cv.panels["P2"])]
    base = np.mean([cv.out_of_fold(m.name)[np.ix_(rows, cv.panels["P2"])] for m in cv.models], axis=0)
    np.testing.assert_allclose(found, 0.75 * base + 0.25 * level, rtol=1e-5)
    assert sdata["table"].uns["spatialhist"]["oof"]["predictor"] == "stack_shrunk"
    assert "stack_shrunk" in set(sh.tl.evaluate(sdata)["predictor"])
    again = sh.tl.load(folder, combiners=[Shrunk()])
    assert again.out_of_fold().tobytes() == stacked.out_of_fold().tobytes()
    new = draw_cohort(4, n_slides=1, images_seed=9)
    for key, model in (("first", stacked), ("second", again)):
        sh.tl.predict(new, model, key_added=key, encoder=FAST["encoder"], progress=False)
    np.testing.assert_array_equal(new["table"].layers["first"], new["table"].layers["second"])
    with pytest.raises(ValueError, match="your own combiner 'shrunk'"):
        sh.tl.load(folder)
    with pytest.warns(UserWarning, match="combiner 'shrunk' .* has other settings or code"):
        sh.tl.load(folder, combiners=[Shrunk(share=0.5)])


def test_a_combiner_that_makes_another_array_is_refused_and_leaves_nothing(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.cv.folder, folder, ignore=lambda d, names: set(names) & {"stack"})

    class Wide(Shrunk):
        def fit(self, predictions, targets, **options):
            return FittedShrunk(0.5, np.zeros((1, 1, predictions.shape[2])))

    with pytest.raises(ValueError, match="combiner FittedShrunk made an array"):
        sh.tl.stack(finished.sdata, CrossValidation.load(folder), method=Wide())
    assert not list(folder.glob("stack/*/stack.json"))
    assert "oof" not in finished.sdata["table"].layers
