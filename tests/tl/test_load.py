from __future__ import annotations

import json
import os
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist.tl._load import as_trained
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.stack import CARD, NUMBER, Stack


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
    sh.tl.stack(draw_cohort(1, signal=0.8), CrossValidation.load(copied), method="nnls")
    assert sh.tl.load(copied).method == "nnls"


@pytest.fixture
def of_two(copied, tmp_path):
    """A run that was stacked by the mean and then by weights; the files of the mean are newer."""
    folder = Path(shutil.copytree(copied, tmp_path / "run"))
    for method in ("mean", "nnls"):
        sh.tl.stack(draw_cohort(1, signal=0.8), CrossValidation.load(folder), method=method)
    os.utime(folder / "stack" / "mean" / CARD, (4e9, 4e9))
    return folder


def test_a_copy_with_other_times_loads_the_same_stack(of_two):
    assert sh.tl.load(of_two).method == "nnls"


def test_times_decide_in_folders_that_hold_no_order(of_two):
    for card in of_two.glob(f"stack/*/{CARD}"):
        held = json.loads(card.read_text())
        del held[NUMBER]
        card.write_text(json.dumps(held))
    os.utime(of_two / "stack" / "mean" / CARD, (4e9, 4e9))
    assert sh.tl.load(of_two).method == "mean"


def test_what_a_killed_stack_left_is_not_loaded(of_two):
    shutil.copytree(of_two / "stack" / "mean", of_two / "stack" / ".rank_mean.tmp")
    os.utime(of_two / "stack" / ".rank_mean.tmp" / CARD, (5e9, 5e9))
    assert sh.tl.load(of_two).method == "nnls"


def test_an_order_that_is_no_number_is_named(of_two):
    card = of_two / "stack" / "nnls" / CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | {NUMBER: ["last"]}))
    with pytest.raises(ValueError, match="stack.json is broken"):
        sh.tl.load(of_two)


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


def test_verbs_take_a_handle_or_its_folder_and_nothing_else(finished):
    _, cv, stacked = finished
    assert as_trained(stacked) == stacked
    assert as_trained(str(cv.folder)).name == "stack_nnls"
    assert as_trained(cv.folder).manifest == cv.manifest
    with pytest.raises(TypeError, match="dict is no cross-validation, stack, model or run folder"):
        as_trained({})


def test_what_one_call_has_read_is_forgotten_with_it(finished):
    _, cv, stacked = finished
    first, second = as_trained(stacked), as_trained(stacked)
    assert len({id(s.cv._restored) for s in (stacked, first, second)}) == 3


NAMED = "timm:hf-hub:somebody/something"


@pytest.fixture
def asked(monkeypatch):
    """Names that were handed to timm, which would download their weights."""
    names = []
    timm = types.ModuleType("timm")
    timm.create_model = lambda name, **options: names.append(name) or pytest.fail("asked for weights")
    monkeypatch.setitem(sys.modules, "timm", timm)
    return names


@pytest.fixture(params=["run", "model"])
def naming(request, finished, tmp_path):
    """A folder whose manifest names an encoder that would be downloaded."""
    sdata, cv, _ = finished
    folder = tmp_path / request.param
    if request.param == "run":
        shutil.copytree(cv.folder, folder)
    else:
        sh.tl.fit(draw_cohort(1, signal=0.8), models=sh.tl.Ridge(components=6), genes=8, out=folder, **FAST)
    stored = json.loads((folder / "manifest.json").read_text())
    stored["identity"]["design"]["encoder"] = NAMED
    del stored["identity"]["design"]["encoder_fingerprint"]
    (folder / "manifest.json").write_text(json.dumps(stored))
    return folder


def test_no_weights_are_fetched_by_a_name_in_a_folder(naming, asked):
    sdata = draw_cohort(2)
    trained = sh.tl.load(naming)
    for call in (
        lambda: sh.tl.predict(sdata, naming, progress=False),
        lambda: sh.tl.predict(sdata, trained, progress=False),
        lambda: sh.tl.predict_grid(sdata, naming, progress=False),
        trained.design,
    ):
        with pytest.raises(
            ValueError, match=rf"names the encoder '{NAMED}'.*sh\.tl\.load\(folder, encoder='{NAMED}'\)"
        ):
            call()
    assert asked == []


def test_a_name_is_confirmed_by_the_call_that_the_message_gives(naming, asked):
    for design in (sh.tl.load(naming, encoder=NAMED).design(), sh.tl.load(naming).design(NAMED)):
        assert design.encoder == NAMED
    sdata = draw_cohort(2)
    for call in (
        lambda: sh.tl.predict(sdata, sh.tl.load(naming, encoder=NAMED), progress=False),
        lambda: sh.tl.predict(sdata, naming, encoder=NAMED, progress=False),
    ):
        with pytest.raises(pytest.fail.Exception, match="asked for weights"):
            call()
    assert asked == ["hf-hub:somebody/something"] * 2
    with pytest.raises(ValueError, match=f"is not the encoder.*pass encoder='{NAMED}'"):
        sh.tl.load(naming, encoder="timm:another")


def test_an_encoder_that_is_handed_in_is_used_and_nothing_is_fetched(naming, asked):
    sdata = draw_cohort(2)
    sh.tl.predict(sdata, naming, encoder=mean_color, progress=False, allow_training=True)
    sh.tl.predict(sdata, sh.tl.load(naming, encoder=mean_color), key_added="again", progress=False, allow_training=True)
    table = sdata["table"]
    np.testing.assert_array_equal(table.layers["again"], table.layers["predicted"])
    assert asked == []


def test_what_was_trained_in_this_session_needs_no_second_word(finished, monkeypatch):
    """Who named an encoder in a call trusts it."""
    known = sh.nn.get_encoder(mean_color)
    monkeypatch.setattr("spatialhist.tl._runs.task.get_encoder", lambda encoder: known)
    monkeypatch.setattr("spatialhist.nn.get_encoder", lambda encoder: known)
    model = sh.tl.fit(draw_cohort(1), models=sh.tl.Ridge(components=6), genes=8, **FAST | {"encoder": NAMED})
    assert model.design().encoder == NAMED


def test_a_broken_card_is_refused_before_anything_is_computed(naming, asked):
    for card in naming.rglob("card.json"):
        card.write_text("[1]")
    (naming / "card.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"card\.json is broken"):
        sh.tl.predict(draw_cohort(2), naming, encoder=NAMED, progress=False)
    assert asked == []
