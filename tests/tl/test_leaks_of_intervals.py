"""The labels of a held-out group reach neither its intervals nor its expected counts, by invariance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import Ridge
from spatialhist.tl._runs.residuals import HeldOut

HELD = "P2"
METHODS = ("nnls", "mean", "mlp")
LAYERS = tuple(f"oof_stack_{m}" for m in METHODS)


def run(out, *, replaced):
    """Five slides with every stack that leaves residuals."""
    sdata = draw_cohort(1, n_slides=5, n_genes=8, signal=0.8)
    if replaced:
        table, rng = sdata["table"], np.random.default_rng(99)
        rows = (table.obs["patient"] == HELD).to_numpy()
        counts = table.X.toarray()
        counts[rows] = rng.poisson(5, (rows.sum(), 8)) + 300 * (np.arange(8) > 5)
        table.X = csr_matrix(counts.astype(np.float32))
        sh.pp.log_normalize(sdata)
    models = [Ridge(components=6), Ridge(name="ridge_raw", standardized=False, components=6)]
    cv = sh.tl.cross_validate(sdata, models=models, genes=6, groups="patient", out=out, **FAST)
    stacks = {f"oof_stack_{m}": sh.tl.stack(sdata, cv, method=m, key_added=f"oof_stack_{m}") for m in METHODS}
    return sdata, stacks


def bounds(run, layer, patient):
    sdata, stacks = run
    sh.tl.calibrate(sdata, stacks[layer], layer=layer, level=0.6)
    assert sdata["table"].uns["spatialhist"][f"{layer}_lower"]["nested"]
    rows = (sdata["table"].obs["patient"] == patient).to_numpy()
    return [sdata["table"].layers[f"{layer}_{side}"][rows] for side in ("lower", "upper")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intervals")
    return [run(folder / str(replaced), replaced=replaced) for replaced in (False, True)]


@pytest.mark.parametrize("layer", LAYERS)
def test_labels_of_the_held_out_group_do_not_reach_its_intervals(runs, layer):
    before, after = (bounds(r, layer, HELD) for r in runs)
    assert np.isfinite(before).any()
    assert [b.tobytes() for b in before] == [a.tobytes() for a in after]


@pytest.mark.parametrize("layer", LAYERS)
def test_labels_do_reach_the_intervals_of_other_groups(runs, layer):
    before, after = (bounds(r, layer, "P1") for r in runs)
    assert before[0].tobytes() != after[0].tobytes()


def test_residuals_of_folds_that_saw_the_group_would_be_noticed(runs, monkeypatch):
    monkeypatch.setattr(HeldOut, "residuals_without", lambda held, evaluated: held.residuals())
    before, after = (bounds(r, "oof_stack_nnls", HELD) for r in runs)
    assert before[0].tobytes() != after[0].tobytes()
