from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from small_cohorts import FAST, draw_cohort

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.report._page.selection import collect, warnings_of

OPTIONS = {**FAST, "models": sh.tl.Ridge(components=4), "groups": "patient"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    sdata = draw_cohort(1, signal=0.8)
    cv = sh.tl.cross_validate(sdata, genes=8, out=tmp_path_factory.mktemp("selection") / "run", **OPTIONS)
    return sdata, cv, sh.tl.evaluate(sdata, oracles=False)


def told(run, scores=None, sdata=None):
    return warnings_of(open_cohort(run[0] if sdata is None else sdata), run[1], run[2] if scores is None else scores)


def chosen(run, scores):
    return dict(collect(open_cohort(run[0]), run[1], scores).rows)


def test_scores_of_the_run_need_no_warning(run):
    assert told(run) == []
    assert told(run, run[2].query("metric == 'pearson'")) == []
    assert told(run, run[2].sample(frac=1.0, random_state=0)) == []
    assert "slides of the run that are not scored" not in chosen(run, run[2])


def test_edited_scores_are_named(run):
    scores = run[2].copy()
    scores.loc[(scores["predictor"] == "ridge") & (scores["metric"] == "pearson"), "value"] = 0.9
    assert told(run, scores) == ["The scores were edited after sh.tl.evaluate returned them: ridge pearson."]


def test_scores_without_their_record_are_compared_with_the_card(run, tmp_path):
    run[2].to_csv(tmp_path / "scores.csv", index=False)
    scores = pd.read_csv(tmp_path / "scores.csv", keep_default_na=True).fillna({"target": ""})
    assert told(run, scores) == []
    scores.loc[scores["predictor"] == "ridge", "value"] += 0.1
    (text,) = told(run, scores)
    assert text.startswith("The scores differ from those that the run keeps of itself (ridge 0.")


def test_scores_of_another_run_are_named(run):
    other = draw_cohort(1, signal=0.8)
    sh.tl.cross_validate(other, genes=8, seed=5, **OPTIONS)
    assert told(run, sh.tl.evaluate(other, oracles=False))[0].startswith("The scores are of another run")


def test_scores_of_some_slides_are_named(run):
    scores = sh.tl.evaluate(run[0], slides=["S1", "S2"], oracles=False)
    assert told(run, scores) == ["Scores of 2 of 4 slides of the run: S3, S4 are not scored."]
    assert chosen(run, scores)["slides of the run that are not scored"] == "S3, S4"


def test_thresholds_and_spots_that_are_not_scored_are_listed(run):
    totals = np.sort(np.asarray(run[0]["table"].X.sum(axis=1)).ravel())
    scores = sh.tl.evaluate(run[0], min_counts=int(totals[30]), oracles=False)
    found = chosen(run, scores)
    assert found["min_counts of scored spots"] == str(int(totals[30]))
    assert "of the 96 spots of the run on S" in found["spots that are scored"]
    assert found["genes"] == "8 of the highest mean, chosen in each fold on its training slides"


def test_spots_flagged_off_after_the_run_are_named(run):
    sdata = sd.deepcopy(run[0])
    sdata["table"].obs["spot_qc"] = np.where(np.arange(4 * 96) % 2, "ok", "low_activity")
    with pytest.warns(UserWarning, match="flagged off"):
        scores = sh.tl.evaluate(sdata, oracles=False)
    assert any("flagged off after it" in text for text in told(run, scores, sdata))


def test_spellings_of_patients_are_named(run):
    sdata = sd.deepcopy(run[0])
    sdata["table"].obs["patient"] = sdata["table"].obs["region"].map({"S1": "A", "S2": "a ", "S3": "B", "S4": "C"})
    assert any("spells names in several ways" in text for text in told(run, sdata=sdata))


def test_the_page_shows_both(run, no_pictures):
    page = sh.report.write(run[0], run[1], scores=sh.tl.evaluate(run[0], slides=["S1", "S2"])).read_text()
    assert "S3, S4 are not scored." in page
    assert "What was selected" in page and "chosen in each fold" in page
