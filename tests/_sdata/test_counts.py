from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import counts_behind, get_counts, slides_without_counts
from spatialhist._sdata.layers import record

STEP = "sh.pp.log_normalize(sdata"


def one_slide(slide: str, *, patient: str = "P1"):
    xy = np.array([[10.0, 5.0], [30.0, 5.0], [50.0, 5.0], [10.0, 25.0], [50.0, 25.0]])
    counts = np.arange(15, dtype=np.float32).reshape(5, 3)
    return build_slide(None, xy, counts, slide=slide, genes=["A", "B", "C"], patient=patient)


@pytest.fixture
def cohort():
    return open_cohort(concat_slides([one_slide("S1"), one_slide("S2", patient="P2")]))


def logs_of(cohort, slide: str) -> np.ndarray:
    values = np.asarray(cohort.table.X, dtype=np.float32).copy()
    values[cohort.rows(slide)] = np.log1p(values[cohort.rows(slide)])
    return values


def test_one_slide_of_logarithms_is_found(cohort):
    assert slides_without_counts(cohort.table.X, cohort.every_slide()) == {}
    assert slides_without_counts(logs_of(cohort, "S2"), cohort.every_slide()) == {"S2": pytest.approx(np.log(2))}


def test_logarithms_of_the_last_spot_alone_are_found(cohort):
    values = sparse.csr_matrix(cohort.table.X)
    values[cohort.rows("S1")[-1], 0] = 0.5
    assert slides_without_counts(values, cohort.every_slide()) == {"S1": 0.5}


def test_gaps_and_unmeasured_slides_say_nothing(cohort):
    values = logs_of(cohort, "S2")
    cohort.table.obs["measured"] = (cohort.table.obs["region"] == "S1").to_numpy()
    values[0, 0], values[1, 1] = np.nan, np.inf
    assert slides_without_counts(values, cohort.every_slide()) == {}


def test_counts_pass_without_a_word(cohort):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_counts(cohort, None, step=STEP) is cohort.table.X


def test_warning_names_slides_value_and_mark(cohort):
    cohort.table.X = logs_of(cohort, "S2")
    cohort.table.uns["log1p"] = {"base": None}
    said = r"X of table 'table' is taken for raw counts.*\['S2'\], e\.g\. 0\.6931 on 'S2'.*uns\['log1p'\].*layer="
    with pytest.warns(UserWarning, match=said):
        get_counts(cohort, None, step=STEP)


def test_warning_names_a_layer_that_holds_counts(cohort):
    table = cohort.table
    table.layers["raw"] = table.X
    table.layers["made"] = table.X
    record(table, "made", {"layer": "X"})
    table.X = logs_of(cohort, "S1")
    with pytest.warns(UserWarning, match=r"layer 'raw' holds counts, call sh\.pp\.log_normalize\(sdata, layer='raw'\)"):
        get_counts(cohort, None, step=STEP)


def test_a_named_layer_is_looked_at_too(cohort):
    cohort.table.layers["logs"] = logs_of(cohort, "S1")
    with pytest.warns(UserWarning, match=r"layers\['logs'\] of table 'table' is taken for raw counts"):
        get_counts(cohort, "logs", step=STEP)


def test_counts_behind_follow_what_was_told(cohort):
    table = cohort.table
    table.layers["raw"] = np.asarray(table.X) + 1
    table.layers["log1p"] = np.log1p(table.layers["raw"])
    table.layers["ranks"] = table.layers["log1p"]
    record(table, "log1p", {"layer": "raw"})
    record(table, "ranks", {"layer": "log1p"})
    assert counts_behind(cohort.table, cohort.every_slide(), "ranks") is table.layers["raw"]


def test_counts_behind_a_layer_that_nobody_recorded_are_x(cohort):
    cohort.table.layers["foreign"] = logs_of(cohort, "S1")
    assert counts_behind(cohort.table, cohort.every_slide(), "foreign") is cohort.table.X


def test_no_counts_behind_logarithms(cohort):
    cohort.table.layers["counts"] = np.asarray(cohort.table.X)
    cohort.table.X = logs_of(cohort, "S2")
    assert counts_behind(cohort.table, cohort.every_slide(), "X") is None
    cohort.table.X = None
    assert counts_behind(cohort.table, cohort.every_slide(), "log1p") is None


def test_empty_counts_are_no_counts(cohort):
    cohort.table.X = sparse.csr_matrix(cohort.table.shape, dtype=np.float32)
    assert counts_behind(cohort.table, cohort.every_slide(), "X") is None
