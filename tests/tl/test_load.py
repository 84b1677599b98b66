from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from small_cohorts import draw_cohort

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
