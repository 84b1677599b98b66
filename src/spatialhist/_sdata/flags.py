"""Columns of yes and no, in whatever type conversions between programs leave them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spatialhist._sdata.values import word

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
    found = nullable_flags(values, name)
    empty = int(found.isna().sum())
    if empty and gap is None:
        raise ValueError(f"{name} is empty in {empty} of {len(found)} rows: fill them with True or False")
    return found.fillna(bool(gap)).to_numpy(dtype=bool, copy=True)


def nullable_flags(values: Any, name: str) -> pd.Series:
    """Nullable booleans of a column as :func:`as_flags` takes it, with its gaps.

    Raises
    ------
    ValueError
        If a value is neither yes nor no.
    """
    column = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values, dtype=object))
    if column.dtype == bool:
        return column.astype("boolean")
    # each word is looked at once, however many spots have it
    codes, found = pd.factorize(column)
    words = [word(value).strip().lower() for value in found]
    for value, text in zip(found, words, strict=True):
        if text not in YES | NO | GAPS:
            raise ValueError(f"{name} holds {value!r}: want True and False, or 1 and 0")
    meant = [None if text in GAPS else text in YES for text in words]
    flags = pd.array([meant[code] if code >= 0 else None for code in codes], dtype="boolean")
    return pd.Series(flags, index=column.index)


def settled_flags(
    column: pd.Series, name: str, rows: np.ndarray | slice = slice(None), *, gaps_are: bool = False
) -> np.ndarray:
    """Return some rows of a column of flags, which must have no gaps, as booleans.

    Parameters
    ----------
    column
        The column.
    name
        How a user reaches it, as in ``sdata['table'].obs['measured']``.
    rows
        Positions that are wanted.
    gaps_are
        What the message proposes to count gaps as.

    Raises
    ------
    ValueError
        If it holds something else, or a flag is missing.
    """
    flags = nullable_flags(column, name)
    chosen = flags.iloc[rows]
    gaps = int(chosen.isna().sum())
    if gaps:
        others = column[(flags != gaps_are).fillna(False)].unique()
        other = [value.item() if isinstance(value, np.generic) else value for value in others]
        raise ValueError(
            f"{name} is missing for {gaps} of {len(chosen)} entries: set it, or let gaps count as {gaps_are} by "
            f"{name} = {'~' if gaps_are else ''}{name}.isin({other})"
        )
    return chosen.to_numpy(dtype=bool, copy=True)
