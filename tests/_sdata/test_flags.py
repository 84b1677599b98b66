from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist._sdata.flags import as_flags

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
