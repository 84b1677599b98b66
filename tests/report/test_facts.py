from __future__ import annotations

from types import SimpleNamespace

import pytest
import spatialdata as sd

import spatialhist as sh
from spatialhist._sdata.geometry import slide_info
from spatialhist._sdata.slides import open_cohort
from spatialhist.report import _facts


@pytest.fixture
def own(sdata):
    """The cohort, to be changed."""
    return sd.deepcopy(sdata)


def facts(sdata, cv, stack=None):
    return _facts.collect(open_cohort(sdata), cv, stack)


def test_unknown_scale_and_patient(own, cv):
    own["table"].obs["patient"] = None
    slide_info(own, "S1")["mpp"] = None
    row = facts(own, cv)["slides"].rows[0]
    assert row[2] is None and row[4] is None and row[6] is None
    assert row[5] == "50.0"


def test_counts_keep_dropped_spots(own, cv):
    before = facts(own, cv)["quality"]
    sh.pp.filter_spots(own)
    assert facts(own, cv)["quality"] == before


def test_no_counts_of_spots_where_none_were_made(own, cv):
    del own["table"].uns["spatialhist"]["filter_spots"]
    assert facts(own, cv)["quality"] is None


def test_what_saw_other_slides_is_named(own, cv):
    sh.pp.normalize_stain(own, reference=["S1", "S2"])
    slide_info(own, "S3")["alignment_report"] = {"use_expression": True}
    slide_info(own, "S2")["alignment_report"] = {"use_expression": False}
    found = facts(own, cv)
    assert found["stain_fitted_on"] == ["S1", "S2"]
    assert found["placed_by_expression"] == ["S3"]


def test_weights_of_a_stack_without_weights(sdata, cv):
    stack = SimpleNamespace(method="mean", cv=cv, by_group={}, final=None)
    found = facts(sdata, cv, stack)
    assert (found["stack_method"], found["weights"]) == ("mean", None)


def test_versions_are_those_installed(sdata, cv):
    assert facts(sdata, cv)["versions"]["spatialhist"] == sh.__version__
