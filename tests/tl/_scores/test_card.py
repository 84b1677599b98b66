from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._scores.card import add_reliability, count_verdicts
from spatialhist.tl._scores.card_file import read_card
from spatialhist.tl._scores.reliability import rate_genes


def test_the_card_of_a_stack_says_what_evaluate_says(finished):
    sdata, cv, stack = finished
    scores = sh.tl.evaluate(sdata, metrics="pearson")
    card = read_card(stack.folder)
    assert (card["predictor"], card["run_id"], card["target"]) == ("stack_nnls", cv.run_id, "log1p")
    summary = sh.tl.summarize(scores)
    for entry in card["scores"]:
        assert entry["mean"] == pytest.approx(summary.loc[entry["predictor"], "mean"], abs=1e-5)
    baselines = {e["predictor"] for e in card["scores"] if e["kind"] == "baseline"}
    assert baselines == {n.name for n in cv.baselines} - {"baseline_patient"}  # one slide a patient: nothing to average
    expected = rate_genes(scores, "stack_nnls")
    found = sh.tl.gene_reliability(stack)
    ends = found.pop("measured_low"), found.pop("measured_high")
    pd.testing.assert_frame_equal(found, expected.loc[found.index], check_dtype=False, atol=1e-5)
    predicted = np.isfinite(sdata["table"][:, found.index].layers["oof"])
    measured = np.where(predicted, sdata["table"][:, found.index].layers["log1p"].toarray(), np.nan)
    np.testing.assert_allclose(np.nanpercentile(measured, (1, 99), axis=0), ends, atol=1e-5)
    assert found["score"].is_monotonic_decreasing


def test_the_card_of_a_run_of_two_models_rates_their_mean(finished):
    sdata, cv, _ = finished
    copy = draw_cohort(1, signal=0.8)
    values = np.mean([sdata["table"].layers[f"oof_{m.name}"] for m in cv.models], axis=0)
    copy["table"].layers["mean"] = values
    scores = sh.tl.evaluate(copy, layers="mean", metrics="pearson", oracles=False).query("metric == 'pearson'")
    by_gene = scores.groupby("target")["value"].mean()
    found = sh.tl.gene_reliability(cv.folder if not (cv.folder / "stack").exists() else cv)
    np.testing.assert_allclose(found["score"], by_gene[found.index], atol=1e-5)
    assert read_card(cv.folder)["predictor"] == "ridge+ridge_raw"


def test_noise_is_not_trusted_and_signal_is_not_distrusted():
    verdicts = {}
    for signal in (0.0, 0.9):
        sdata = draw_cohort(3, n_slides=5, n_genes=40, signal=signal)
        cv = sh.tl.cross_validate(sdata, models=sh.tl.Ridge(components=6), genes=40, groups="patient", **FAST)
        verdicts[signal] = sh.tl.gene_reliability(cv)["verdict"]
    assert (verdicts[0.0] == "reliable").sum() == 0
    assert (verdicts[0.0] == "unreliable").mean() > 0.8
    # counts follow the red channel, the more so the farther a gene is from the middle of the list
    strength = np.abs(verdicts[0.9].index.str[1:].astype(int).to_numpy() - 19.5)
    assert (verdicts[0.9][strength > 8] != "unreliable").all()
    assert (verdicts[0.9][strength > 8] == "reliable").any()
    assert (verdicts[0.9][strength < 2] == "unreliable").all()


def test_a_smoothed_target_is_rated_by_what_was_measured(tmp_path):
    sdata = draw_cohort(1, n_slides=3, n_genes=6, signal=0.8)
    sh.pp.spot_distances(sdata)
    sh.pp.smooth_expression(sdata, layer="log1p")
    cv = sh.tl.cross_validate(
        sdata, models=sh.tl.Ridge(components=6), layer="log1p_smooth", genes=6, groups="patient", **FAST
    )
    scores = sh.tl.evaluate(sdata, truth="log1p", metrics="pearson")
    found = sh.tl.gene_reliability(cv)
    np.testing.assert_allclose(found["score"], rate_genes(scores, "ridge").loc[found.index, "score"], atol=1e-5)


def test_a_model_that_was_not_evaluated_says_so(tmp_path):
    sdata = draw_cohort(1, n_slides=3, n_genes=6)
    model = sh.tl.fit(sdata, models=sh.tl.Ridge(components=3), genes=6, out=tmp_path / "m", **FAST)
    with pytest.raises(ValueError, match=r"nothing is known .* sh.tl.fit\(sdata, evaluated_by=cv\)"):
        sh.tl.gene_reliability(model)


def test_spots_too_shallow_to_be_scored_leave_genes_unjudged(tmp_path):
    sdata = draw_cohort(1, n_slides=3, n_genes=6)
    sdata["table"].X = sdata["table"].X.sign()
    cv = sh.tl.cross_validate(sdata, models=sh.tl.Ridge(components=3), genes=6, groups="patient", **FAST)
    assert read_card(cv.folder)["genes"] == {}
    with pytest.raises(ValueError, match="nothing is known"):
        sh.tl.gene_reliability(cv)


def test_columns_of_genes_survive_the_store_and_are_counted(finished, tmp_path):
    _, _, stack = finished
    sdata = draw_cohort(2, n_slides=1)
    add_reliability(sdata["table"], "predicted", read_card(stack.folder))
    counts = count_verdicts(sdata["table"], "predicted")
    assert list(counts) == ["reliable", "weak", "unreliable"]
    assert sum(counts.values()) == len(sh.tl.gene_reliability(stack))
    sdata.write(tmp_path / "s.zarr")
    again = sh.io.read(tmp_path / "s.zarr")
    assert count_verdicts(again["table"], "predicted") == counts
    assert count_verdicts(again["table"], "oof") == {}


def test_a_broken_card_says_so(tmp_path):
    assert read_card(tmp_path) == {}
    (tmp_path / "card.json").write_text(json.dumps({"genes": {}})[:-2])
    with pytest.raises(ValueError, match=r"card.json is broken .*: make the run again"):
        read_card(tmp_path)


GOOD = {"score": 0.4, "baseline": None, "ceiling": 0.8, "fraction": 0.5, "groups": 3, "wins": 2, "verdict": "weak"}


@pytest.mark.parametrize(
    "card",
    [
        [],
        3,
        {"genes": []},
        {"genes": {"G1": 3}},
        {"genes": {"G1": GOOD | {"verdict": "great"}}},
        {"genes": {"G1": GOOD | {"score": "high"}}},
        {"genes": {"G1": GOOD | {"ceiling": True}}},
        {"genes": {"G1": {"score": 0.4}}},
        {"scores": 3},
        {"scores": [{"predictor": "ridge", "kind": "model"}]},
        {"scores": [{"predictor": "ridge", "kind": "model", "mean": "0.4"}]},
    ],
)
def test_a_malformed_card_is_refused_before_anything_is_predicted(finished, tmp_path, card, monkeypatch):
    _, cv, _ = finished
    folder = shutil.copytree(cv.folder, tmp_path / "run", ignore=shutil.ignore_patterns("stack"))
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr(CrossValidation, "predict", lambda *_, **__: pytest.fail("was predicted"))
    sdata = draw_cohort(2, n_slides=1)
    for call in (sh.tl.predict, sh.tl.predict_grid):
        with pytest.raises(ValueError, match=r"card.json is broken"):
            call(sdata, folder)
    assert "predicted" not in sdata["table"].layers


def test_a_card_with_genes_of_which_little_is_known_is_read(tmp_path):
    card = {"scores": [], "genes": {"G1": GOOD | {"verdict": None, "score": None}}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert read_card(tmp_path)["genes"] == card["genes"]
