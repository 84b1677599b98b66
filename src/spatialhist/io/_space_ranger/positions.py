"""Where Space Ranger says that spots lie, in the table of any of its versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spatialhist import _keys
from spatialhist._runtime.files import UNDECODABLE, intact
from spatialhist._sdata.flags import as_flags

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
PARQUET = ".parquet"
MAX_BINS = 50_000_000
"""Four times as many as the smallest bins of Visium HD; a few bytes of Parquet can promise any number of rows."""
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
    with intact(path, says, errors=UNDECODABLE), pq.ParquetFile(path) as file:
        frame = _read_columns(file) if _is_complete(file) else None
        found = f"{file.metadata.num_rows:,} rows of {file.schema_arrow.names}"
    if frame is None:
        raise ValueError(f"{path} has {found}: want 1 to {MAX_BINS:,} rows of {','.join(COLUMNS)}")
    return frame


def _is_complete(file: pq.ParquetFile) -> bool:
    return 0 < file.metadata.num_rows <= MAX_BINS and set(COLUMNS) <= set(file.schema_arrow.names)


def _read_columns(file: pq.ParquetFile) -> pd.DataFrame:
    # barcodes are a column also where pandas has written them as an index
    frame = file.read(COLUMNS).to_pandas(ignore_metadata=True)
    # what was decoded would stay beside what was made of it
    pa.default_memory_pool().release_unused()
    return frame[COLUMNS]


def _read_csv(path: Path) -> pd.DataFrame:
    with intact(path, "{path} cannot be read as CSV: {error}", errors=(ValueError,)):
        # without a header at first, since Space Ranger 1 wrote none; as text, so that barcodes stay as they are
        frame = pd.read_csv(path, header=None, names=range(MAX_COLUMNS), dtype=str, skipinitialspace=True)
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
