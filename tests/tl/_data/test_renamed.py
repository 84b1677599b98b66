"""Words of version 0.1.0 become those of this version, and what a user named stays."""

from __future__ import annotations

import pytest

from spatialhist.tl._data import renamed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("null_mean", "null"), ("baseline_mean", "baseline")),
        (("null_donor", "null"), ("baseline_patient", "baseline")),
        (("null_permuted", "baseline"), ("control_permuted", "baseline")),
        (("null_mean", "model"), ("null_mean", "model")),
        (("head", "model"), ("head", "model")),
        (("stack_mlp", "stack"), ("stack_mlp", "stack")),
    ],
)
def test_only_baselines_lose_their_name(old, new):
    assert renamed.label(*old) == new


def test_a_card_keeps_its_numbers_and_the_patients_that_are_its_columns():
    scores = [{"predictor": "null_color", "kind": "null", "mean": 0.25, "null": 0.5}]
    genes = {"null": {"score": 0.5, "null": 0.125, "verdict": "trust"}, "B": {"null": None, "verdict": "weak"}}
    found = renamed.card({"predictor": "head", "scores": scores, "genes": genes})
    assert found == {
        "predictor": "head",
        "scores": [{"predictor": "baseline_color", "kind": "baseline", "mean": 0.25, "null": 0.5}],
        "genes": {
            "null": {"score": 0.5, "baseline": 0.125, "verdict": "reliable"},
            "B": {"baseline": None, "verdict": "weak"},
        },
    }
    assert renamed.card(found) == found


def test_baselines_of_a_run_have_one_key():
    assert renamed.identity({"models": [1], "nulls": [2]}) == {"models": [1], "baselines": [2]}
