"""What is known of the members of groups, as columns of a table of the groups; pure data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.flags import nullable_flags
from spatialhist._sdata.pool_sums import NONE, mean_rows, sum_rows

TOTALS = ("total_counts", "transcript_counts", "cell_area", "nucleus_area")
"""Columns of scanpy and Xenium that are totals of a bin or cell, so that a group has their sum."""
OF_A_BIN = (_keys.REGION, _keys.INSTANCE, _keys.SPOT_QC, "array_row", "array_col")
"""Columns that say which bin it is, or that were found by looking at it alone."""
FLAGS = {_keys.IN_TISSUE: np.any, _keys.MEASURED: np.all}
"""Columns of yes and no, and of how many members a group must have it."""


def pool_columns(obs: pd.DataFrame, group: np.ndarray, n: int) -> tuple[pd.DataFrame, list[str]]:
    """Pool columns over groups.

    Parameters
    ----------
    obs
        A row a member.
    group
        Group of every row, :data:`NONE` for those that are left out.
    n
        Number of groups, each with a member.

    Returns
    -------
    tuple[DataFrame, list[str]]
        Means of numbers, sums of totals, flags, and words that all members of each group share; and the names of the
        columns that are left out, because members differ.
    """
    inside = group != NONE
    held, member = obs[inside], group[inside]
    pooled, left = {}, []
    for name in held.columns.difference(OF_A_BIN, sort=False):
        column = held[name]
        if name in FLAGS:
            pooled[name] = _flags(column, name, member, n)
        elif pd.api.types.is_numeric_dtype(column):
            pooled[name] = _numbers(column, member, n, total=name in TOTALS)
        elif (shared := _shared(column, member, n)) is not None:
            pooled[name] = shared
        else:
            left.append(str(name))
    return pd.DataFrame(pooled, index=range(n)), left


def _numbers(column: pd.Series, member: np.ndarray, n: int, *, total: bool) -> np.ndarray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
    return np.asarray((sum_rows if total else mean_rows)(values, member, n)).ravel()


def _flags(column: pd.Series, name: str, member: np.ndarray, n: int) -> np.ndarray:
    """Whether any or all members have a flag; a gap counts as one that has it."""
    has = nullable_flags(column, f"obs[{name!r}]").fillna(True).to_numpy(dtype=bool)
    count = np.bincount(member[has], minlength=n)
    return count > 0 if FLAGS[name] is np.any else count == np.bincount(member, minlength=n)


def _shared(column: pd.Series, member: np.ndarray, n: int) -> pd.Series | None:
    """What all members of each group hold; None where some differ."""
    codes, _ = pd.factorize(column)
    first = np.empty(n, dtype=int)
    # backward, since the last of several writes stays: the first member of each group
    first[member[::-1]] = np.arange(len(member))[::-1]
    if not np.array_equal(codes, codes[first][member]):
        return None
    return column.iloc[first].reset_index(drop=True)
