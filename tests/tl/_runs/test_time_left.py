from __future__ import annotations

from spatialhist.tl._runs import fits
from spatialhist.tl._runs.fits import TimeLeft

TWO_FOLDS = ["ridge", "net", "ridge", "net", "ridge", "net"]


def test_it_speaks_when_one_fit_of_each_model_is_done_and_then_never_again():
    left = TimeLeft(TWO_FOLDS, 2)
    assert left.add(0, 30.0) is None
    # two ridges of 30 s and two networks of 200 s on two workers: 230 s
    assert left.add(1, 200.0) == "by the first fit of each model about 4 min are left; net is the slowest, 200 s a fit"
    assert left.add(2, 3000.0) is None


def test_workers_of_an_executor_from_outside_are_measured(monkeypatch):
    clock = iter([100.0, 140.0])
    monkeypatch.setattr(fits.time, "perf_counter", lambda: next(clock))
    left = TimeLeft(["net"] * 20, None)
    # 120 s of fits in 40 s: three at once, so that 19 of 120 s take 760 s
    assert left.add(0, 120.0).startswith("by the first fit of each model about 13 min are left")


def test_a_fit_that_loaded_libraries_too_is_not_the_measure():
    left = TimeLeft(["ridge", "ridge", "net", "ridge", "net"], 1)
    assert left.add(0, 40.0) is None
    assert left.add(1, 10.0) is None
    assert left.add(2, 300.0) == "by the first fit of each model about 6 min are left; net is the slowest, 300 s a fit"


def test_short_runs_and_ends_need_no_word():
    left = TimeLeft(TWO_FOLDS, 1)
    assert [left.add(i, 14.0) for i in range(6)] == [None] * 6
    assert TimeLeft(["net"], 1).add(0, 900.0) is None
    assert TimeLeft([], 1)._seconds == {}


def test_models_whose_fits_were_done_before_are_not_waited_for():
    left = TimeLeft(["net", "net"], 1)
    assert left.add(0, 61.0) == "by the first fit of each model about 2 min are left; net is the slowest, 61 s a fit"
