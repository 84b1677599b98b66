"""What the second headline says of cohorts whose genes follow depth alone, or the image alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl import FeatureNetwork, KernelRidge, Ridge

N_GENES = 200
"""Times 288 spots: the standard error of a score of nothing is about .004."""
MODELS = [
    Ridge(components=6),
    Ridge(name="ridge_raw", standardized=False, components=6),
    KernelRidge(components=6, landmarks=60),
    FeatureNetwork(members=1, epochs=5, batch=32, dim=8, accelerator="cpu"),
]


def brightness(sdata):
    """Red of the pixel below every spot, from -1 to 1."""
    xy, slide = sdata["table"].obsm["spatial"].astype(int), sdata["table"].obs["region"].to_numpy()
    images = {s: sdata.images[f"{s}_full_image"].data.compute()[0] for s in np.unique(slide)}
    return np.array([images[s][y, x] for s, (x, y) in zip(slide, xy, strict=True)]) / 110 - 1


def run(draw, layer, n_genes, models):
    """Scores of models, their stack and the baselines, on counts that are drawn from the brightness of spots."""
    sdata = draw_cohort(1, n_slides=3, n_genes=n_genes)
    table, rng = sdata["table"], np.random.default_rng(2)
    table.X = csr_matrix(rng.poisson(draw(brightness(sdata), rng)).astype(np.float32))
    sh.pp.log_normalize(sdata)
    table.layers["log_counts"] = table.X.log1p()
    cv = sh.tl.cross_validate(sdata, models=models, layer=layer, genes=n_genes, groups="patient", **FAST)
    sh.tl.stack(sdata, cv)
    return sh.tl.summarize(sh.tl.evaluate(sdata, truth=layer, metrics="pearson"))


def test_genes_that_follow_depth_alone_score_nothing_beyond_it():
    shares = np.random.default_rng(0).uniform(2, 20, N_GENES)
    scores = run(
        lambda red, rng: np.outer(np.exp(red + 0.3 * rng.normal(size=red.size)), shares), "log_counts", N_GENES, MODELS
    )
    assert {m.name for m in MODELS} | {"stack_nnls", "baseline_depth", "baseline_color"} < set(scores.index)
    predicted = scores[(scores["kind"] != "oracle") & scores["mean"].notna()]
    assert (predicted["beyond_depth"].abs() < 0.01).all(), predicted["beyond_depth"]
    assert (scores.loc[["ridge", "kernel_ridge", "stack_nnls", "baseline_depth"], "mean"] > 0.3).all()
    assert scores.loc["baseline_depth", "mean"] > scores.loc["ridge", "mean"] - 0.02


def test_genes_that_follow_the_image_keep_their_score():
    """Depth is drawn without a look at the image, which says what share of it goes to which gene."""
    gains = np.linspace(-1.5, 1.5, 30)

    def draw(red, rng):
        share = np.exp(np.outer(red, gains))
        return share / share.sum(axis=1, keepdims=True) * rng.lognormal(7.5, 0.4, (red.size, 1))

    scores = run(draw, "log1p", 30, MODELS[:2])
    models = scores.loc[["ridge", "ridge_raw", "stack_nnls", "baseline_color"]]
    assert models["mean"].min() > 0.25
    np.testing.assert_allclose(models["beyond_depth"], models["mean"], atol=0.02)


@pytest.mark.parametrize("layer", ["ranks", "proportions", "residuals"])
def test_other_targets_are_scored_beyond_depth_or_say_why_not(layer):
    sdata = draw_cohort(1, n_slides=3, n_genes=8, signal=0.8)
    table = sdata["table"]
    if layer == "ranks":
        sh.pp.rank_expression(sdata, scale="unit")
    else:
        share = table.X.toarray() / table.X.sum(axis=1)
        table.layers[layer] = share if layer == "proportions" else share - share.mean(axis=0)
    if layer == "proportions":
        table.X = csr_matrix(share)
        with pytest.warns(UserWarning, match="baseline_depth is left out: no counts lie behind 'proportions'"):
            sh.tl.cross_validate(sdata, models=MODELS[0], layer=layer, genes=8, groups="patient", **FAST)
        with pytest.warns(UserWarning, match="pearson_beyond_depth is empty: no counts lie behind 'proportions'"):
            scores = sh.tl.summarize(sh.tl.evaluate(sdata, truth=layer))
        assert scores["beyond_depth"].isna().all()
        assert "baseline_depth" not in scores.index
        return
    sh.tl.cross_validate(sdata, models=MODELS[0], layer=layer, genes=8, groups="patient", **FAST)
    scores = sh.tl.summarize(sh.tl.evaluate(sdata, truth=layer))
    assert scores.loc[["ridge", "baseline_depth", "baseline_color"], "beyond_depth"].notna().all()
