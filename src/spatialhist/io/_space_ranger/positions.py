"""Where Space Ranger says that spots lie, in the table of any of its versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.flags import as_flags

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
MAX_COLUMNS = 20
"""More than a header of anything has, of which rows may have more cells than it has names."""


def read_positions(path: Path) -> pd.DataFrame:
    """Read positions by barcode, with a header (Space Ranger 2 and later) or without, from a file of any name.

    Raises
    ------
    ValueError
        If columns are missing or hold no numbers, or a barcode is there twice.
    """
    try:
        frame = pd.read_csv(path, header=None, names=range(MAX_COLUMNS), dtype=str, skipinitialspace=True)
    except (ValueError, UnicodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    if frame.empty:
        raise ValueError(f"{path} has no rows")
    frame = frame.dropna(axis=1, how="all")
    first = [str(name).strip() for name in frame.iloc[0].fillna("")]
    if set(COLUMNS) <= set(first):
        frame = frame.iloc[1:].set_axis(first, axis=1)[COLUMNS]
    elif frame.shape[1] == len(COLUMNS) and _is_number(first[-1]):
        frame = frame.set_axis(COLUMNS, axis=1)
    else:
        raise ValueError(
            f"the first row of {path} is {','.join(first[:7]).strip(',')}: want {','.join(COLUMNS)}, or the first spot in this order"
        )
    return _numbers(frame.set_index("barcode"), path)


def _is_number(text: str) -> bool:
    return bool(pd.notna(pd.to_numeric(text, errors="coerce")))


def _numbers(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if frame.index.has_duplicates:
        raise ValueError(f"{path} holds barcodes twice, e.g. {frame.index[frame.index.duplicated()][0]!r}")
    numbers = frame.drop(columns=_keys.IN_TISSUE).apply(pd.to_numeric, errors="coerce")
    bad = numbers.index[~np.isfinite(numbers).all(axis=1)]
    if len(bad):
        raise ValueError(
            f"{path} holds no numbers for {len(bad)} barcodes, e.g. {bad[0]!r}: {frame.loc[bad[0]].tolist()}"
        )
    flags = as_flags(frame[_keys.IN_TISSUE], f"column 'in_tissue' of {path}")
    return numbers.assign(in_tissue=flags.astype(int))[COLUMNS[1:]]
