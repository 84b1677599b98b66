from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import draw_cohort

from spatialhist._sdata.cohort import open_cohort, usable_rows
from spatialhist._sdata.layers import record
from spatialhist.tl._data.hindsight import hindsight

GOOD = ["G0", "G1", "G2"]


@pytest.fixture(scope="module")
def sdata():
    """Out-of-fold predictions of twelve genes, of which the first three are good."""
    sdata = draw_cohort(0, n_slides=3)
    table, rng = sdata["table"], np.random.default_rng(1)
    values = table.layers["log1p"].toarray()
    table.layers["oof_ridge"] = rng.normal(size=values.shape).astype(np.float32)
    table.layers["oof_ridge"][:, :3] += 3 * (values - values.mean(axis=0))[:, :3] / values.std(axis=0)[:3]
    made = {"step": "cross_validate", "predictor": "ridge", "target": "log1p", "slides": ["S1", "S2", "S3"]}
    record(table, "oof_ridge", made | {"kind": "model"})
    table.layers["oof_baseline_mean"] = values.copy()
    record(table, "oof_baseline_mean", made | {"kind": "baseline"})
    return sdata


def ask(sdata, named=(), *, slides=("S1", "S2", "S3"), layer="log1p"):
    rows = usable_rows(open_cohort(sdata, list(slides)).every_slide())
    return hindsight(sdata["table"], rows, layer, named)


def test_genes_that_an_earlier_run_predicted_best_are_named(sdata):
    (text,) = ask(sdata, GOOD)
    assert (
        "the 3 genes that are named were predicted better by an earlier run (layer 'oof_ridge': mean Pearson 0.9"
        in text
    )


@pytest.mark.parametrize("named", [["G0", "G5", "G9"], ["G9", "G10", "G11"], [], [f"G{i}" for i in range(12)]])
def test_genes_that_are_no_better_than_others_are_not(sdata, named):
    assert ask(sdata, named) == []


def test_slides_that_an_earlier_run_held_are_named(sdata):
    (text,) = ask(sdata, slides=["S1", "S3"])
    assert text.startswith("slides ['S2'] were in an earlier run on this object and are left out of this one")


def test_runs_for_another_layer_say_nothing(sdata):
    assert ask(sdata, GOOD, slides=["S1"], layer="X") == []
