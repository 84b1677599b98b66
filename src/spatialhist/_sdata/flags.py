"""Columns of yes and no, in whatever type conversions between programs leave them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

YES = {"true", "t", "yes", "y", "1", "1.0", "in_tissue", "in tissue"}
NO = {"false", "f", "no", "n", "0", "0.0", "off_tissue", "off tissue"}
GAPS = {"", "nan", "na", "none", "<na>", "null"}


def as_flags(values: Any, name: str, *, gap: bool | None = None) -> np.ndarray:
    """Boolean of a column that holds booleans, numbers or words, also as categories, bytes or nullable types.

    Parameters
    ----------
    values
        Column.
    name
        What to call it in errors.
    gap
        What an empty cell means; None to refuse it.

    Raises
    ------
    ValueError
        If a value is neither yes nor no, or a cell is empty.
    """
    column = pd.Series(
        np.asarray(values, dtype=object) if not isinstance(values, pd.Series) else values.to_numpy(object)
    )
    if column.map(lambda v: isinstance(v, bool | np.bool_)).all():
        return column.to_numpy(dtype=bool)
    words = column.map(_word)
    unknown = words[~words.isin(YES | NO | GAPS)]
    if len(unknown):
        raise ValueError(f"{name} holds {column[unknown.index[0]]!r}: want True and False, or 1 and 0")
    empty = words.isin(GAPS)
    if empty.any() and gap is None:
        raise ValueError(f"{name} is empty in {empty.sum()} of {len(words)} rows: fill them with True or False")
    return np.where(empty, bool(gap), words.isin(YES)).astype(bool)


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode()
    return "" if value is None or value is pd.NA else str(value).strip().lower()
