from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist._sdata.flags import as_flags, nullable_flags, settled_flags

KINDS = {
    "booleans": [True, False, True],
    "numbers": [1, 0, 1],
    "unsigned": np.array([1, 0, 1], dtype=np.uint8),
    "floats": [1.0, 0.0, 1.0],
    "words": ["True", "FALSE", "true"],
    "numbers in words": ["1", "0", "1.0"],
    "bytes": [b"1", b"0", b"True"],
    "categories": pd.Categorical(["1", "0", "1"]),
    "nullable booleans": pd.array([True, False, True], dtype="boolean"),
    "nullable numbers": pd.array([1, 0, 1], dtype="Int64"),
    "nullable words": pd.array(["yes", "no", "yes"], dtype="string"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_type(kind):
    flags = as_flags(pd.Series(KINDS[kind], index=list("xyz")), "flag")
    assert flags.dtype == bool
    assert flags.tolist() == [True, False, True]


GAPS = {
    "floats": [1.0, np.nan],
    "words": ["True", None],
    "categories": pd.Categorical(["1", None]),
    "nullable": pd.array([True, None], dtype="boolean"),
    "empty": ["1", ""],
    "the word": ["1", "nan"],
}


@pytest.mark.parametrize("kind", GAPS)
def test_gaps_are_refused_unless_their_meaning_is_given(kind):
    with pytest.raises(ValueError, match="obs\\['in_tissue'\\] is empty in 1 of 2 rows: fill them"):
        as_flags(pd.Series(GAPS[kind]), "obs['in_tissue']")
    assert as_flags(pd.Series(GAPS[kind]), "", gap=True).tolist() == [True, True]
    assert as_flags(pd.Series(GAPS[kind]), "", gap=False).tolist() == [True, False]


@pytest.mark.parametrize("value", ["maybe", 2, -1.0])
def test_what_is_neither_is_named(value):
    with pytest.raises(ValueError, match=f"flag holds {value!r}: want True and False"):
        as_flags(pd.Series([1, value], dtype=object), "flag")


FLAGS = {
    "bool": pd.Series([True, False, True]),
    "whole": pd.Series([1, 0, 1], dtype=np.uint8),
    "words": pd.Series(["True", "FALSE", "yes"]),
    "digits": pd.Series(["1", "0", "1"], dtype="category"),
    "bytes": pd.Series([b"1", b"0", b"1"]),
    "category": pd.Series(pd.Categorical([True, False, True])),
    "string": pd.Series(["t", "f", "t"], dtype="string"),
}


@pytest.mark.parametrize("kind", FLAGS)
def test_flags_of_any_type(kind):
    assert nullable_flags(FLAGS[kind], "obs['in_tissue']").tolist() == [True, False, True]


@pytest.mark.parametrize("kind", [k for k in FLAGS if k not in ("bool", "whole")])
def test_gaps_among_flags_stay_gaps(kind):
    holed = FLAGS[kind].where([True, True, False])
    assert nullable_flags(holed, "obs['in_tissue']").isna().tolist() == [False, False, True]


@pytest.mark.parametrize("gap", ["nan", "", "None"])
def test_gaps_that_were_written_as_text(gap):
    assert nullable_flags(pd.Series(["1", gap]), "obs['in_tissue']").isna().tolist() == [False, True]


def test_what_is_no_flag_is_refused_by_name():
    with pytest.raises(ValueError, match=r"obs\['in_tissue'\] holds 'inside': want True and False"):
        nullable_flags(pd.Series(["inside", "outside"]), "obs['in_tissue']")


@pytest.mark.parametrize("gaps_are", [True, False])
@pytest.mark.parametrize("kind", [k for k in FLAGS if k not in ("bool", "whole")])
def test_advice_on_gaps_helps_when_followed(kind, gaps_are):
    obs = pd.DataFrame({"measured": FLAGS[kind].where([True, True, False])})
    with pytest.raises(ValueError, match="missing for 1 of 3 entries") as error:
        settled_flags(obs["measured"], "obs['measured']", gaps_are=gaps_are)
    exec(str(error.value).partition(" by ")[2])
    assert settled_flags(obs["measured"], "obs['measured']").tolist() == [True, False, gaps_are]


def test_gaps_of_rows_that_are_not_asked_for_do_not_count():
    flags = pd.Series([True, None, False], dtype="boolean")
    assert settled_flags(flags, "obs['measured']", np.array([2, 0])).tolist() == [False, True]
