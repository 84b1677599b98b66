from __future__ import annotations

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist._runtime.executor import run_tasks
from spatialhist._runtime.threads import pinned_threads
from spatialhist.tl import Ridge
from spatialhist.tl._load import as_trained
from spatialhist.tl._runs.residuals import HeldOut, NoResiduals

OPTIONS = {"encoder": mean_color, "progress": False}
NAMES = {
    "cv": "ridge+b",
    "nnls": "stack_nnls",
    "rank_mean": "stack_rank_mean",
    "as_written": "stack_as_written",
    "model": "ridge+b",
}
LEAVES_NONE = {
    "rank_mean": "method='rank_mean' predicts ranks, which have no residuals",
    "as_written": "scheme='as_written' leaves no honest residuals",
    "model": "a model fitted on everything leaves no residuals",
}


@pytest.fixture(scope="module")
def handles(tmp_path_factory):
    """Everything that can be trained, on the same three slides, genes and models."""
    sdata, folder = draw_cohort(1, n_slides=3, signal=0.8), tmp_path_factory.mktemp("handles")
    options = {"models": [Ridge(components=6), Ridge(name="b", components=3)], **FAST}
    options["genes"] = list(sdata["table"].var_names[:7])
    cv = sh.tl.cross_validate(sdata, groups="patient", out=folder / "run", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        as_written = sh.tl.stack(sdata, cv, method="mlp", scheme="as_written")
    stacks = {method: sh.tl.stack(sdata, cv, method=method) for method in ("nnls", "rank_mean")}
    model = sh.tl.fit(sdata, evaluated_by=cv, out=folder / "model", **options)
    return {"cv": cv, **stacks, "as_written": as_written, "model": model}


@pytest.fixture(params=NAMES)
def kind(request):
    return request.param


@pytest.fixture
def trained(handles, kind):
    return handles[kind]


@pytest.fixture
def new():
    """A slide that no run has seen."""
    return draw_cohort(9, n_slides=1, signal=0.8, images_seed=5)


def test_it_says_what_it_is_of(trained, kind, handles):
    assert isinstance(trained, sh.tl.Trained)
    assert trained.name == NAMES[kind]
    assert (trained.threads, trained.needs_tiles, trained.in_ranks) == (1, False, kind == "rank_mean")
    assert trained.genes == handles["cv"].genes
    run = handles["model" if kind == "model" else "cv"]
    assert (trained.run_id, trained.run_folder, trained.models) == (run.run_id, run.folder, run.models)
    assert trained.folder.is_relative_to(trained.run_folder)
    assert trained.n_features() == len(mean_color(torch.zeros(1, 3, 8, 8))[0]) * len(FAST["extents"])
    assert trained.design(mean_color).encoder is mean_color
    with pytest.raises(ValueError, match="your own encoder"):
        trained.design()


def test_the_card_is_that_of_what_was_scored(trained, kind):
    scored = {"model": "ridge+b", "as_written": None}.get(kind, NAMES[kind])
    assert trained.card().get("predictor") == scored


def test_a_new_slide_is_predicted(trained, new):
    sh.tl.predict(new, trained, **OPTIONS)
    table = new["table"]
    assert np.isfinite(table.layers["predicted"][:, table.var_names.get_indexer(trained.genes)]).all()
    made = table.uns["spatialhist"]["predicted"]
    assert (made["predictor"], made["run_id"]) == (trained.name, trained.run_id)
    assert made["predicted_as"] == ["new slide, not the training slide of this name: its pixels differ"]


def test_a_training_slide_never_gets_a_prediction_that_saw_its_labels(trained, kind, handles):
    samples = handles["cv"].inputs.samples(np.arange(3))
    refused = {"model": "the model would repeat its labels", "as_written": "has no fold that left it out"}
    if kind not in refused:
        assert trained.predicts_as("x", "S2") == "training slide S2, by the fold that left out group P2"
        trained.check_slide("S2")
        return
    for call in (
        lambda: trained.check_slide("S2"),
        lambda: trained.predicts_as("x", "S2"),
        lambda: trained.predict(samples, training_slide="S2"),
    ):
        with pytest.raises(ValueError, match=f"slide 'S2' was trained on.*{refused[kind]}"):
            call()


def test_only_a_model_of_everything_repeats_labels(trained, kind):
    assert trained.repeats_labels("S2") == (kind == "model")
    assert not trained.repeats_labels(None)


def test_spots_of_a_training_slide_are_compared_with_other_groups(trained, kind, handles):
    cv = handles["cv"]
    samples = cv.inputs.samples(np.flatnonzero(cv.inputs.column("slide") == "S2"))
    as_new, as_training = (trained.out_of_distribution(samples, training_slide=s) for s in (None, "S2"))
    assert (as_new.tobytes() == as_training.tobytes()) == (kind == "model")


class TestResiduals:
    def test_they_are_there_or_it_says_why_not(self, trained, kind):
        if kind not in LEAVES_NONE:
            assert isinstance(trained.held_out(), HeldOut)
            assert trained.held_out().groups == ["P1", "P2", "P3"]
            return
        with pytest.raises(NoResiduals, match=LEAVES_NONE[kind]):
            trained.held_out()

    def test_a_verb_that_needs_them_works_or_says_why_not(self, trained, kind, new):
        sh.tl.predict(new, trained, **OPTIONS)
        before = set(new["table"].layers)
        calls = {
            "_lower": partial(sh.tl.calibrate, new, trained, level=0.5),
            "_counts": partial(sh.tl.expected_counts, new, trained),
        }
        for added, call in calls.items():
            if kind not in LEAVES_NONE:
                call()
                assert f"predicted{added}" in new["table"].layers
                continue
            reason = "predicts 'ranks'" if (kind, added) == ("rank_mean", "_counts") else LEAVES_NONE[kind]
            with pytest.raises(ValueError, match=reason):
                call()
            assert set(new["table"].layers) == before

    def test_a_grid_has_intervals_where_they_can_be_had(self, trained, kind, new):
        sh.tl.predict_grid(new, trained, spacing=("px", 40.0), level=0.5, **OPTIONS)
        layers = set(new["S1_grid_table"].layers)
        assert layers == {"predicted"} | ({"predicted_lower", "predicted_upper"} if kind not in LEAVES_NONE else set())


def pinned(predict, samples):
    """Predict with the threads of the run, as verbs do: sums of other parts may differ in the last bit."""
    with pinned_threads(1):
        return predict(samples)


class TestOtherProcesses:
    def test_they_predict_the_same(self, trained, handles):
        samples = handles["cv"].inputs.samples(np.arange(6))
        opened = as_trained(trained)
        (there,) = run_tasks(pinned, [(opened.predict, samples)], executor=2)
        assert pinned(opened.predict, samples).tobytes() == there.tobytes()

    def test_what_was_allowed_is_allowed_there(self, handles):
        samples = handles["cv"].inputs.samples(np.arange(6))
        allowed = as_trained(handles["model"], allow_training=True)
        predict = partial(allowed.predict, training_slide="S2")
        (there,) = run_tasks(pinned, [(predict, samples)], executor=2)
        assert there.tobytes() == pinned(predict, samples).tobytes()

    def test_what_was_not_allowed_is_refused_there(self, handles):
        samples = handles["cv"].inputs.samples(np.arange(6))
        sent = pickle.loads(pickle.dumps(as_trained(handles["model"])))
        with pytest.raises(ValueError, match="would repeat its labels"):
            sent.predict(samples, training_slide="S2")

    def test_being_allowed_is_of_one_call(self, handles):
        model = handles["model"]
        assert as_trained(model, allow_training=True).allow_training
        assert not model.allow_training
        assert not as_trained(as_trained(model, allow_training=True)).allow_training

    def test_a_temporary_folder_stays_with_the_process_that_made_it(self):
        model = sh.tl.fit(draw_cohort(1, n_slides=2), models=Ridge(components=3), genes=4, **FAST)
        folder = model.folder
        sent = pickle.loads(pickle.dumps(as_trained(model)))
        del sent
        assert folder.exists()
        copy = as_trained(model)
        del model
        assert folder.exists()
        del copy
        assert not folder.exists()
