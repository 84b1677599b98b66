"""Predictors that know nothing of the image must not look good in the headline, whatever else they look good in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.layers import record

SLIDES = [f"S{i}" for i in range(1, 5)]


def add(sdata, name, values, kind="model"):
    table = sdata["table"]
    table.layers[f"oof_{name}"] = values.astype(np.float32)
    made = {"step": "cross_validate", "target": "log1p", "predictor": name, "kind": kind}
    record(table, f"oof_{name}", made | {"slides": SLIDES, "groups": SLIDES})


@pytest.fixture(scope="module")
def flattered():
    """Genes that differ in level between slides, and rise in the tissue's center, in slides of another layout each."""
    sdata, rng = draw_cohort(0, n_genes=40), np.random.default_rng(0)
    table = sdata["table"]
    slide = table.obs["region"].astype(str).to_numpy()
    common = 1.5 + rng.normal(size=40)
    level = {s: common + 0.8 * rng.normal(size=40) for s in SLIDES}
    bumps = {s: bump(table.obsm["spatial"][slide == s], rng) for s in SLIDES}
    log = np.concatenate([level[s] + np.outer(bumps[s], rng.normal(size=40)) for s in SLIDES])
    table.X = csr_matrix(rng.poisson(20 * np.exp(log)).astype(np.float32))
    sh.pp.log_normalize(sdata)
    truth = table.layers["log1p"].toarray()
    means = np.stack([truth[slide == s].mean(axis=0) for s in SLIDES])
    others = np.stack([np.delete(means, i, axis=0).mean(axis=0) for i in range(4)])
    code = np.repeat(np.arange(4), 96)
    by_spot = truth.reshape(4, 96, 40)
    position = np.stack([np.delete(by_spot, i, axis=0).mean(axis=0) for i in range(4)]).reshape(-1, 40)
    add(sdata, "constant", others[code])
    add(sdata, "slide_level", means[code])
    add(sdata, "position", position)
    add(sdata, "position_and_level", position - others[code] + means[code])
    add(sdata, "wrong_way", means[code] - 0.5 * (truth - means[code]))
    scores = sh.tl.evaluate(sdata, metrics=["pearson", "spot_spearman", "pooled_pearson"], oracles=False)
    return scores.set_index("predictor"), sh.tl.summarize(scores)["mean"]


def bump(xy, rng):
    """Height of a hill somewhere on the slide, at every spot."""
    center = rng.uniform(xy.min(axis=0), xy.max(axis=0))
    return np.exp(-((xy - center) ** 2).sum(axis=1) / 60**2)


def mean_of(scores, metric, predictor):
    part = scores[scores["metric"] == metric]
    return part.loc[[predictor], "value"].mean()


def test_a_constant_scores_zero_though_its_profile_fits_every_spot(flattered):
    scores, headline = flattered
    assert headline["constant"] == 0
    assert mean_of(scores, "spot_spearman", "constant") > 0.3


def test_the_level_of_each_slide_scores_zero_though_pooled_it_looks_right(flattered):
    scores, headline = flattered
    assert headline["slide_level"] == 0
    assert mean_of(scores, "pooled_pearson", "slide_level") > 0.7


def test_position_scores_nothing_where_only_position_is_known(flattered):
    scores, headline = flattered
    assert abs(headline["position"]) < 0.1
    assert abs(headline["position_and_level"]) < 0.1
    assert mean_of(scores, "pooled_pearson", "position_and_level") > 0.6


def test_what_is_wrong_within_every_slide_is_below_zero_though_pooled_it_looks_right(flattered):
    scores, headline = flattered
    assert headline["wrong_way"] == pytest.approx(-1)
    assert mean_of(scores, "pooled_pearson", "wrong_way") > 0.2


def test_a_layout_that_all_slides_share_is_a_null_that_models_must_beat():
    """Where position does tell something, its score stands beside the model's, which wins nothing over it."""
    sdata = draw_cohort(2, n_genes=8)
    table, rng = sdata["table"], np.random.default_rng(1)
    hill = np.tile(np.exp(-((table.obsm["spatial"][:96] - [130, 90]) ** 2).sum(axis=1) / 60**2), 4)
    table.X = csr_matrix(rng.poisson(15 * np.exp(np.outer(hill, np.linspace(-1, 1, 8)))).astype(np.float32))
    sh.pp.log_normalize(sdata)
    sh.tl.cross_validate(sdata, models=sh.tl.Ridge(components=6), genes=8, groups="patient", **FAST)
    summary = sh.tl.summarize(sh.tl.evaluate(sdata, oracles=False))
    assert summary.loc["baseline_position", "mean"] > summary.loc["ridge", "mean"]
    assert summary.loc["ridge", "wins"] == "0/4"


def test_layers_of_a_run_that_another_has_followed_are_not_scored():
    sdata = draw_cohort(2, n_genes=8)
    options = {"groups": "patient", **FAST}
    raw = sh.tl.Ridge(name="ridge_raw", standardized=False, components=6)
    sh.tl.cross_validate(sdata, models=[sh.tl.Ridge(components=6), raw], genes=8, **options)
    sh.tl.cross_validate(sdata, models=sh.tl.Ridge(components=6), genes=5, **options)
    with pytest.warns(UserWarning, match=r"layers \['oof_ridge_raw'\] are of an earlier run"):
        scores = sh.tl.evaluate(sdata, metrics="pearson", oracles=False)
    assert "ridge_raw" not in set(scores["predictor"])
    assert scores.query("predictor == 'ridge' and slide == 'S1'")["target"].nunique() == 5
