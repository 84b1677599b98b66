from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import spatialdata as sd

import spatialhist as sh
from spatialhist._sdata.alignment import set_alignment
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.layers import record
from spatialhist._sdata.scale import slide_info
from spatialhist.report._page import facts as _facts


@pytest.fixture
def own(sdata):
    """The cohort, to be changed."""
    return sd.deepcopy(sdata)


@pytest.fixture
def facts(scores):
    return lambda sdata, cv, stack=None: _facts.collect(open_cohort(sdata), cv, stack, scores)


def test_unknown_scale_and_patient(facts, own, cv):
    own["table"].obs["patient"] = None
    slide_info(own, "S1")["mpp"] = None
    row = facts(own, cv)["slides"].rows[0]
    assert row[2] is None and row[4] is None and row[6] is None
    assert row[5] == "50.0"


def test_counts_keep_dropped_spots(facts, own, cv):
    before = facts(own, cv)["quality"]
    sh.pp.filter_spots(own)
    assert facts(own, cv)["quality"] == before


def test_no_counts_of_spots_where_none_were_made(facts, own, cv):
    del own["table"].uns["spatialhist"]["filter_spots"]
    assert facts(own, cv)["quality"] is None


def test_how_far_slides_were_moved_and_why(facts, own, cv):
    assert facts(own, cv)["alignment"] is None
    angle, cohort = np.radians(3), open_cohort(own)
    matrix = np.array([[np.cos(angle), -np.sin(angle), 30], [np.sin(angle), np.cos(angle), -40], [0, 0, 1]])
    before = own["table"].obsm["spatial"][cohort.rows("S2")].copy()
    set_alignment(cohort.sdata, cohort.table, "S2", matrix)
    way = np.linalg.norm(before @ matrix[:2, :2].T + matrix[:2, 2] - before, axis=1).mean()
    report = {"overlap_before": 0.5, "overlap_after": 0.75, "accepted": True, "reason": "clear of noise"}
    slide_info(own, "S2")["alignment_report"] = {**report, "use_expression": False}
    (row,) = facts(own, cv)["alignment"].rows
    assert row[0] == "S2"
    assert row[1:3] == pytest.approx([way / 50, 3])
    assert row[3:] == ["overlap", 0.5, 0.75, "clear of noise"]


def test_what_saw_other_slides_is_named(facts, own, cv):
    sh.pp.normalize_stain(own, reference=["S1", "S2"])
    report = {"overlap_before": 0.5, "overlap_after": 0.75, "accepted": True, "reason": "clear of noise"}
    slide_info(own, "S3")["alignment_report"] = {**report, "use_expression": True}
    slide_info(own, "S2")["alignment_report"] = {**report, "use_expression": False}
    found = facts(own, cv)
    assert found["stain_fitted_on"] == ["S1", "S2"]
    assert found["placed_by_expression"] == ["S3"]


def test_weights_of_a_stack_without_weights(facts, sdata, cv):
    stack = SimpleNamespace(method="mean", cv=cv, by_group={}, final=None)
    found = facts(sdata, cv, stack)
    assert (found["stack_method"], found["weights"]) == ("mean", None)


def test_versions_are_those_installed(facts, sdata, cv):
    assert facts(sdata, cv)["versions"]["spatialhist"] == sh.__version__


def test_every_gene_stands_beside_its_ceiling(facts, sdata, cv, scores):
    table = facts(sdata, cv)["genes"]
    heads = [
        "gene", "verdict", "score", "best baseline", "score beyond depth", "best baseline beyond depth", "groups won",
        "noise ceiling", "share of ceiling",
    ]  # fmt: skip
    assert table.columns == heads
    part = scores[(scores["metric"] == "pearson") & (scores["target"] == table.rows[0][0])]
    means = part.groupby("predictor")["value"].mean()
    first = dict(zip(heads, table.rows[0], strict=True))
    assert [first["score"], first["noise ceiling"]] == pytest.approx([means["stack_nnls"], means["noise_ceiling"]])
    beyond = (
        scores.query("metric == 'pearson_beyond_depth' and predictor == 'stack_nnls'").groupby("target")["value"].mean()
    )
    assert first["score beyond depth"] == pytest.approx(beyond[table.rows[0][0]])
    assert first["share of ceiling"] == pytest.approx(means["stack_nnls"] / means["noise_ceiling"])
    assert [row[2] for row in table.rows] == sorted((row[2] for row in table.rows), reverse=True)
    # the gene with the bad name is missing in one fold
    assert {row[6] for row in table.rows if row[0] == sdata["table"].var_names[0]} == {"2/2"}
    assert sum(table.verdicts.values()) == len(table.rows) == sdata["table"].n_vars


def test_a_run_without_intervals_says_why(facts, own, cv):
    assert facts(own, cv)["no_intervals"] is None
    record(own["table"], "calibrate", {"reason": "few groups"})
    assert facts(own, cv)["no_intervals"] == "few groups"


def test_coverage_is_what_calibrate_recorded(facts, own, cv):
    assert facts(own, cv)["coverage"] is None
    about = {"level": 0.8, "groups": ["P1", "P2", "P3"], "coverage": [0.75, 0.5, 1.0]}
    record(own["table"], "oof_lower", about)
    found = facts(own, cv)
    assert found["level"] == 0.8
    assert found["coverage"].columns == ["held-out group", "share inside"]
    assert found["coverage"].rows == [["P1", 0.75], ["P2", 0.5], ["P3", 1.0]]


def test_says_how_the_interactive_page_is_made_and_where_it_will_lie(cv):
    beside = _facts.interactive_page(cv, cv.folder / "report.html")
    assert beside["command"] == 'sh.report.explore(sdata, "run & more/explore.html", scores=scores)'
    assert beside["link"] == "explore.html"
    (cv.folder / "data.zarr").mkdir()
    beside = _facts.interactive_page(cv, cv.folder / "report.html")
    assert beside["command"] == "spatialhist explore 'run & more' --out 'run & more/explore.html'"
    elsewhere = _facts.interactive_page(cv, cv.folder.parent / "report.html")
    assert elsewhere == {
        "command": "spatialhist explore 'run & more' --out explore.html", "link": None, "folder": "run & more",
    }  # fmt: skip
