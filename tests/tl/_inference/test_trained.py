from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from small_cohorts import draw_cohort

import spatialhist as sh
from spatialhist.tl._inference.trained import Applier
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.stack import Stack


@pytest.fixture(scope="module")
def copied(finished, tmp_path_factory):
    """A copy of the run, in which stacks may be made."""
    _, cv, _ = finished
    folder = tmp_path_factory.mktemp("copied") / "run"
    shutil.copytree(cv.folder, folder, ignore=lambda d, names: set(names) & {"mean", "rank_mean"})
    return folder


def test_the_latest_stack_is_loaded(copied):
    loaded = sh.tl.load(copied)
    assert isinstance(loaded, Stack)
    assert loaded.method == "nnls"
    sh.tl.stack(draw_cohort(1, signal=0.8), CrossValidation.load(copied), method="mean")
    assert sh.tl.load(str(copied)).method == "mean"
    os.utime(copied / "stack" / "nnls" / "stack.json")
    assert sh.tl.load(copied).method == "nnls"


def test_a_run_without_stack_is_a_cross_validation(finished, tmp_path):
    _, cv, _ = finished
    shutil.copytree(cv.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "stack")
    assert isinstance(sh.tl.load(tmp_path / "run"), CrossValidation)


def test_folders_that_are_none_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is no run or model folder"):
        sh.tl.load(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text('{"format": 2}')
    with pytest.raises(ValueError, match="has format 2, this version reads up to 1: update spatialhist"):
        sh.tl.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="is broken"):
        sh.tl.load(tmp_path)


def test_only_what_was_trained_can_be_applied(finished):
    _, cv, stacked = finished
    with pytest.raises(TypeError, match="dict is no cross-validation, stack, model or run folder"):
        Applier.of({})
    assert Applier.of(stacked).name == "stack_nnls"
    assert Applier.of(cv).name == "ridge+ridge_raw"
    assert Applier.of(str(cv.folder)).run.genes == cv.genes
    assert not Applier.of(cv).needs_tiles
    assert Applier.of(cv).threads == 1


def test_training_slides_are_known_by_their_pixels(finished):
    _, cv, _ = finished
    applier = Applier.of(cv)
    for slide, facts in cv.manifest.slides.items():
        assert applier.trained_on(facts.pixels) == slide
    assert applier.trained_on("other") is None
    assert applier.trained_on("") is None


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
    np.testing.assert_allclose(Applier.of(stacked).predict(samples), expected, rtol=1e-4)
    np.testing.assert_allclose(Applier.of(cv).predict(samples), np.mean(each, axis=0), rtol=1e-5)


def test_a_training_slide_gets_the_fold_that_left_it_out(finished):
    sdata, cv, stacked = finished
    rows = np.flatnonzero(cv.inputs.column("slide") == "S3")
    predicted = Applier.of(stacked).predict(cv.inputs.samples(rows), training_slide="S3")
    columns = sdata["table"].var_names.get_indexer(cv.genes)
    assert predicted.tobytes() == sdata["table"].layers["oof"][np.ix_(rows, columns)].tobytes()
