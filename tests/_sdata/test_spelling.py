from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from spatialhist._sdata.spelling import near_name, nearly_the_same, one_spelling, same_name, told, warn_of_spellings

DECOMPOSED = "Bjo\u0308rn"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("P1", "p1 "),
        ("HER2-A", "HER2_A"),
        ("Bj\u00f6rn", DECOMPOSED),
        ("P\uff11", "P1"),
        ("a  b", "A.b"),
        ("Stra\u00dfe", "STRASSE"),
    ],
)
def test_case_blanks_punctuation_and_unicode_make_no_other_patient(a, b):
    assert same_name(a) == same_name(b)
    assert one_spelling([b, a, b]) == {b: b, a: b}


@pytest.mark.parametrize(
    ("a", "b"), [("P1", "P2"), ("P1-1", "P11"), ("HER2-A", "HER2-B"), ("Bj\u00f6rn", "Bjorn"), ("-", "+")]
)
def test_letters_digits_accents_and_separators_do(a, b):
    assert same_name(a) != same_name(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("P1", "P01"),
        ("P 1", "P1"),
        ("Bj\u00f6rn", "Bjorn"),
        ("P1-1", "P11"),
        ("PO1", "P01"),
        ("\u0420\u0410", "PA"),
        ("P1", "Pl"),
    ],
)
def test_names_that_are_easily_taken_for_each_other_are_asked_about(a, b):
    assert nearly_the_same([a, "else", b]) == [(a, b)]


@pytest.mark.parametrize(("a", "b"), [("P1", "P10"), ("P1", "P2"), ("HER2-A", "HER2-B"), ("A100", "A1")])
def test_other_names_are_not(a, b):
    assert near_name(a) != near_name(b)


def table_of(names):
    return ad.AnnData(
        np.zeros((len(names), 1)), obs=pd.DataFrame({"patient": names}, index=[str(i) for i in range(len(names))])
    )


def test_both_spellings_are_named_with_what_to_write():
    table = table_of(["P1", "p1 ", "P2", None, "P02"])
    with pytest.warns(UserWarning) as caught:
        warn_of_spellings(table, ["patient", "patient", "center"], "spots")
    same, near = (str(w.message) for w in caught)
    fix = "sdata['spots'].obs['patient'] = sdata['spots'].obs['patient'].astype(str).replace("
    assert "'p1 ' is taken as 'P1'" in same and same.endswith(fix + "{'p1 ': 'P1'})")
    assert "'P2' and 'P02'" in near and near.endswith(fix + "{'P02': 'P2'})")


def test_names_in_one_spelling_are_left_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_spellings(table_of(["P1", "P2", "P10", None]), ["patient"], "table")
    assert told([], "patient", "table") == []
