from __future__ import annotations

import warnings

import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import FAST, draw_cohort, mean_color

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort
from spatialhist.tl._runs.since import changes

OPTIONS = {**FAST, "models": sh.tl.Ridge(components=4), "genes": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    sdata = draw_cohort(1, n_slides=3, signal=0.8)
    sh.tl.cross_validate(sdata, out=tmp_path_factory.mktemp("since") / "run", groups="patient", **OPTIONS)
    return sdata


@pytest.fixture
def sdata(run):
    return sd.deepcopy(run)


def told(sdata, layer="oof"):
    return changes(sdata["table"], open_cohort(sdata).every_slide(), layer)


def test_nothing_has_changed_also_after_the_table_was_sorted_and_written(sdata, tmp_path):
    assert told(sdata) == told(sdata, "oof_ridge") == told(sdata, "oof_baseline_mean") == []
    rng = np.random.default_rng(0)
    table = sdata["table"]
    sdata.tables["table"] = table[rng.permutation(table.n_obs), rng.permutation(table.n_vars)].copy()
    assert told(sdata) == []
    sdata.write(tmp_path / "cohort.zarr")
    assert told(sd.read_zarr(tmp_path / "cohort.zarr")) == []


def test_predictions_that_were_edited_are_named(sdata):
    predicted = sdata["table"].layers["oof"]
    row = open_cohort(sdata).rows("S2")[4]
    predicted[row, np.flatnonzero(np.isfinite(predicted[row]))[0]] += 0.01
    assert told(sdata) == [
        "layer 'oof' was changed after the run wrote it, so its scores are not those of the run: slide 'S2'"
    ]


def test_measurements_that_were_edited_are_named(sdata):
    values = sdata["table"].layers["log1p"].toarray()
    values[open_cohort(sdata).rows("S3")] *= 1.01
    sdata["table"].layers["log1p"] = values
    (text,) = told(sdata)
    assert text.startswith("layer 'log1p' was changed after the run") and text.endswith(": slide 'S3'")


def test_spots_that_were_flagged_off_or_dropped_are_counted(sdata):
    qc = np.full(sdata["table"].n_obs, "ok", dtype=object)
    qc[open_cohort(sdata).rows("S1")[:30]] = "low_activity"
    sdata["table"].obs["spot_qc"] = qc
    (text,) = told(sdata)
    assert "flagged off after it" in text and "30 of 96 of slide 'S1'" in text
    sdata.tables["table"] = sdata["table"][qc == "ok"].copy()
    (text,) = told(sdata)
    assert "no longer in the table" in text and text.endswith("30 of 96 of slide 'S1'")


def test_genes_that_were_dropped_change_nothing_else(sdata):
    sdata.tables["table"] = sdata["table"][:, :6].copy()
    assert told(sdata) == []


def test_evaluate_tells_it_and_the_scores_keep_it(sdata):
    sdata["table"].layers["oof"] = sdata["table"].layers["oof"] * 1.5
    with pytest.warns(UserWarning, match="layer 'oof' was changed after the run wrote it"):
        scores = sh.tl.evaluate(sdata, layers=["oof"], oracles=False)
    assert [text[:11] for text in scores.attrs["spatialhist"]["told"]] == ["layer 'oof'"]


def test_evaluate_asks_where_measurements_come_from(sdata):
    sdata["table"].layers["log1p"] = sdata["table"].layers["oof"].copy()
    with pytest.warns(UserWarning, match="it holds the predictions of layer"):
        sh.tl.evaluate(sdata, layers=["oof"], oracles=False)


def test_an_untouched_run_is_evaluated_in_silence(sdata):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        sh.tl.evaluate(sdata, oracles=False)


def test_predictions_of_training_slides_are_refused_under_any_name(sdata):
    model = sh.tl.fit(sdata, **OPTIONS)
    sh.tl.predict(sdata, model, encoder=mean_color, allow_training=True, progress=False)
    sdata["table"].layers["mine"] = sdata["table"].layers.pop("predicted")
    with pytest.raises(ValueError, match=r"'mine' holds predictions by a model .* slides \['S1', 'S2', 'S3'\]"):
        sh.tl.evaluate(sdata, layers=["mine"], oracles=False)
    sdata["table"].layers["mine"] = sdata["table"].layers["mine"] + 0.1
    with pytest.warns(UserWarning, match="'mine' was made outside this package, and what predicted it is not recorded"):
        sh.tl.evaluate(sdata, layers=["mine"], oracles=False)
