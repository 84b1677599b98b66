from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh
from spatialhist.tl._predictors.combiners import RankMean
from spatialhist.tl._runs.residuals import NoResiduals
from spatialhist.tl._runs.stack import OnRun, Stack


def test_a_folder_is_a_stack_again(finished):
    _, cv, stacked = finished
    again = Stack.load(sh.tl.CrossValidation.load(cv.folder), "nnls")
    assert again.by_group.keys() == stacked.by_group.keys()
    for group, combiner in [*stacked.by_group.items(), (None, stacked.final)]:
        np.testing.assert_array_equal(again.combiner(group).weights, combiner.weights)


def test_a_new_slide_gets_the_mean_of_the_folds_then_the_final_weights(finished):
    _, cv, stacked = finished
    samples = cv.inputs.samples(np.arange(7))
    each = []
    for model in cv.models:
        by_gene = {g: [] for g in range(len(cv.genes))}
        for group in cv.groups:
            predicted = cv.outer()[group, model.name].fitted().predict(samples)
            for column, gene in enumerate(cv.panels[group]):
                by_gene[gene].append(predicted[:, column])
        each.append(np.column_stack([np.mean(by_gene[g], axis=0) for g in range(len(cv.genes))]))
    expected = np.einsum("mng,mg->ng", each, stacked.final.weights) + stacked.final.intercept
    np.testing.assert_allclose(stacked.predict(samples), expected, rtol=1e-4)
    np.testing.assert_allclose(cv.predict(samples), np.mean(each, axis=0), rtol=1e-5)


def test_a_training_slide_gets_the_fold_that_left_it_out(finished):
    sdata, cv, stacked = finished
    rows = np.flatnonzero(cv.inputs.column("slide") == "S3")
    predicted = stacked.predict(cv.inputs.samples(rows), training_slide="S3")
    columns = sdata["table"].var_names.get_indexer(cv.genes)
    assert predicted.tobytes() == sdata["table"].layers["oof"][np.ix_(rows, columns)].tobytes()


def test_stacked_predictions_of_every_group_are_those_of_the_layer(finished):
    sdata, cv, stacked = finished
    columns = sdata["table"].var_names.get_indexer(cv.genes)
    assert stacked.out_of_fold().tobytes() == sdata["table"].layers["oof"][:, columns].tobytes()


def test_ranks_of_other_values_leave_no_residuals(finished):
    _, cv, stacked = finished
    ranked = Stack(cv, RankMean(), dict.fromkeys(cv.groups, RankMean()), RankMean())
    assert (stacked.in_ranks, ranked.in_ranks) == (False, True)
    assert np.nanmax(ranked.out_of_fold()) <= 1
    with pytest.raises(NoResiduals, match="method='rank_mean' predicts ranks, which have no residuals"):
        ranked.held_out()


def test_another_kind_of_stack_has_to_say_how_it_predicts(finished):
    class Half(OnRun):
        method = "half"

        def held_out(self):
            return self.cv.held_out()

    with pytest.raises(TypeError, match="abstract methods? as_training, predict"):
        Half(finished[1])
