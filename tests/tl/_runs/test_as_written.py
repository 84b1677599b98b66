from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.metrics import spot_spearman
from spatialhist.tl import Ridge
from spatialhist.tl._runs.as_written import AsWritten

NAMES = [f"G{g}" for g in range(6)]
# on the mean colors of its tile and with next to no strength, a ridge repeats what it was trained on
MODELS = [Ridge(components=6), Ridge(name="raw", standardized=False, components=6)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four slides whose labels are noise, ranked as the original did."""
    sdata = draw_cohort(3, n_genes=6)
    sh.pp.rank_expression(sdata, method="ordinal", scale="raw")
    out = tmp_path_factory.mktemp("as_written") / "run"
    cv = sh.tl.cross_validate(sdata, models=MODELS, layer="ranks", genes=NAMES, groups="patient", out=out, **FAST)
    layers = set(sdata["table"].layers)
    with pytest.warns(UserWarning, match=r"its score of 0\.\d+ is not honest"):
        stacked = sh.tl.stack(sdata, cv, method="mlp", scheme="as_written")
    assert set(sdata["table"].layers) == layers
    return sdata, cv, stacked


def test_the_network_sees_every_fold_model_of_every_spot(run):
    _, cv, stacked = run
    samples = cv.inputs.samples(np.arange(len(cv.inputs)))
    predictions = cv.predict_each(samples, cv.groups)
    assert predictions.shape == (4 * 2, len(samples), 6)
    outer = cv.outer()
    np.testing.assert_array_equal(predictions[3], outer["P2", "raw"].fitted().predict(samples))
    assert stacked.final.network.layers[0].in_features == 4 * 2 * 6


def test_it_scores_itself_on_random_spots_and_says_that_this_is_not_honest(run):
    _, cv, stacked = run
    held = np.random.default_rng(0).permutation(len(cv.inputs)) < 0.2 * len(cv.inputs)
    samples = cv.inputs.samples(np.flatnonzero(held), range(6))
    predicted = stacked.final.apply(cv.predict_each(samples, cv.groups))
    assert stacked.score_not_honest == pytest.approx(np.nanmean(spot_spearman(samples.targets, predicted)), abs=1e-6)


def test_it_is_in_no_table_of_scores(run):
    sdata, *_ = run
    scores = sh.tl.evaluate(sdata, truth="ranks", oracles=False)
    assert not scores["predictor"].str.contains("as_written").any()


def test_a_folder_loads_its_run_without_it_and_it_by_itself(run):
    sdata, cv, stacked = run
    assert not isinstance(sh.tl.load(cv.folder), AsWritten)
    again = AsWritten.of_folder(cv)
    assert again.score_not_honest == stacked.score_not_honest
    new = draw_cohort(4, n_slides=1, images_seed=9)
    for key, model in (("first", stacked), ("second", again)):
        sh.tl.predict(new, model, key_added=key, encoder=FAST["encoder"], progress=False)
    layers = new["table"].layers
    assert np.isfinite(np.asarray(layers["first"])[:, :6]).all()
    np.testing.assert_array_equal(layers["first"], layers["second"])


def test_slides_that_it_was_trained_on_are_refused(run):
    sdata, _, stacked = run
    with pytest.raises(ValueError, match="stack as written has no fold that left it out"):
        sh.tl.predict(sdata, stacked, encoder=FAST["encoder"], progress=False)


def test_it_has_no_intervals(run):
    sdata, _, stacked = run
    with pytest.raises(ValueError, match="leaves no honest residuals"):
        sh.tl.calibrate(sdata, stacked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "as_written"}, "was written for method='mlp', not for method='auto'"),
        ({"scheme": "original", "method": "mlp"}, "scheme='original' is not one of"),
    ],
)
def test_other_schemes_and_methods_are_refused(run, options, message):
    sdata, cv, _ = run
    with pytest.raises(ValueError, match=message):
        sh.tl.stack(sdata, cv, **options)


def test_folds_of_different_genes_are_refused(finished):
    sdata, cv, _ = finished
    changed = [p[:-1] if g == cv.groups[0] else p for g, p in cv.panels.items()]
    identity = cv.manifest.identity | {"panels": dict(zip(cv.groups, changed, strict=True))}
    cv = replace(cv, manifest=replace(cv.manifest, identity=identity))
    with pytest.raises(ValueError, match="model different genes"):
        sh.tl.stack(sdata, cv, method="mlp", scheme="as_written")
