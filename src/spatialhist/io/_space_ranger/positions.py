"""Where Space Ranger says that spots lie, in the table of any of its versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from spatialhist import _keys
from spatialhist._runtime.files import UNDECODABLE, intact
from spatialhist._sdata.flags import as_flags

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
PARQUET = ".parquet"
MAX_COLUMNS = 20
"""More than a header of anything has, of which rows may have more cells than it has names."""


def read_positions(path: Path) -> pd.DataFrame:
    """Read positions by barcode from a file of any name: Parquet, or CSV with a header (Space Ranger 2 and later) or without.

    Raises
    ------
    ValueError
        If columns are missing or hold no numbers, or a barcode is there twice.
    """
    frame = _read_parquet(path) if path.suffix == PARQUET else _read_csv(path)
    return _numbers(frame.set_index("barcode"), path)


def _read_parquet(path: Path) -> pd.DataFrame:
    says = "{path} cannot be read as Parquet: {error}. Copy it again from the output"
    with intact(path, says, errors=UNDECODABLE):
        frame = pd.read_parquet(path)
    # what was decoded would stay beside what was made of it
    pa.default_memory_pool().release_unused()
    missing = [column for column in COLUMNS if column not in frame]
    if missing or frame.empty:
        raise ValueError(f"{path} has {len(frame)} rows of {list(frame)}: want {','.join(COLUMNS)}")
    return frame[COLUMNS]


def _read_csv(path: Path) -> pd.DataFrame:
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
    return frame


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
