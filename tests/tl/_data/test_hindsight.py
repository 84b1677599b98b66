from __future__ import annotations

import warnings

import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
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


def test_runs_that_differ_in_their_seed_alone_are_counted():
    sdata = draw_cohort(1, n_slides=3)
    options = {**FAST, "models": sh.tl.Ridge(components=4), "genes": 4, "groups": "patient"}
    for seed, others in ((0, None), (0, None), (1, "[0]"), (2, "[0, 1]")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sh.tl.cross_validate(sdata, seed=seed, **options)
        told = [str(w.message) for w in caught if "with seeds" in str(w.message)]
        assert (not told) if others is None else (f"with seeds {others}" in told[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        sh.tl.cross_validate(sdata, seed=3, **options | {"genes": 5})


def test_a_table_that_was_narrowed_to_the_panel_leaves_nothing_to_choose(sdata):
    own = sd.deepcopy(sdata)
    del own["table"].layers["oof_ridge"], own["table"].layers["oof_baseline_mean"]
    sh.pp.select_genes(own, n=5, subset=True)
    rows = usable_rows(open_cohort(own).every_slide())
    (text,) = hindsight(own["table"], rows, "log1p", n_genes=5)
    assert text.startswith("the 5 genes of the table are those that sh.pp.select_genes chose on all slides")
    assert (
        hindsight(own["table"], rows, "log1p", n_genes=4) == hindsight(sdata["table"], rows, "log1p", n_genes=99) == []
    )
