from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.io.conftest import picture

import spatialhist as sh

XY = np.array([[100.0, 50.0], [150.0, 50.0]])


@pytest.fixture
def cohort():
    parts = [
        sh.io.from_arrays(picture(), XY, np.ones((2, 2)), genes=["C1", "C2"], slide=s, measured=s == "train")
        for s in ("train", "S_7", "S_8")
    ]
    sdata = sh.io.concat(parts)
    sdata["table"].layers["predicted"] = np.arange(12, dtype=np.float32).reshape(6, 2)
    sdata["table"].layers["predicted"][:2] = np.nan
    return sdata


def test_one_slide(cohort, tmp_path):
    sh.io.write_submission(cohort, tmp_path / "out.csv", slides="S_8")
    assert (tmp_path / "out.csv").read_text().split() == ["ID,C1,C2", "0,8.0,9.0", "1,10.0,11.0"]
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_no_name_is_a_formula(cohort, tmp_path):
    cohort["table"].var_names = ["=HYPERLINK(1)", "-2+3"]
    cohort["table"].obs["spot_id"] = ["@SUM(A1)", "-7"] * 3
    sh.io.write_submission(cohort, tmp_path / "out.csv", slides="S_7")
    written = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert written.columns.tolist() == ["ID", "'=HYPERLINK(1)", "'-2+3"]
    assert written["ID"].tolist() == ["'@SUM(A1)", "-7"]


def test_all_slides_to_predict_by_default(cohort, tmp_path):
    sh.io.write_submission(cohort, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["ID"].tolist() == ["S_7_0", "S_7_1", "S_8_0", "S_8_1"]


def test_all_slides_where_all_are_measured(cohort, tmp_path):
    cohort["table"].obs["measured"] = True
    sh.io.write_submission(cohort, tmp_path / "out.csv", layer="X")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 6


def test_missing_predictions_name_the_slide_and_keep_the_file(cohort, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(
        ValueError, match=r"2 of 4 spots have missing values in layers\['predicted'\], on slides \['train'\]"
    ):
        sh.io.write_submission(cohort, tmp_path / "out.csv", slides=["train", "S_7"])
    assert (tmp_path / "out.csv").read_text() == "old"


def test_failed_write_leaves_nothing_behind(cohort, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        sh.io.write_submission(cohort, tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


def test_missing_layer(cohort, tmp_path):
    with pytest.raises(KeyError, match="no layer 'other'"):
        sh.io.write_submission(cohort, tmp_path / "out.csv", layer="other")
