"""What tables of other programs hold, as plain numbers, flags, words and ids; conversions leave many types behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

_TRUE = {"true", "t", "yes", "y", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "0", "0.0"}
_GAPS = {"", "nan", "None", "<NA>"}
"""What gaps become where a column is written as plain text."""
_SHOWN = 5


def as_matrix(values: Any, name: str) -> csr_matrix | np.ndarray:
    """Return a matrix of any kind as CSR where it is sparse, else as an array, of plain numbers.

    What is that already is not copied. Masked values become NaN.

    Raises
    ------
    ValueError
        If it holds no numbers.
    """
    from scipy import sparse

    values = _in_memory(values)
    if sparse.issparse(values):
        rows = values if values.format == "csr" and isinstance(values, sparse.spmatrix) else sparse.csr_matrix(values)
        return rows.astype(_plain_type(rows.dtype, name), copy=False)
    if isinstance(values, np.ma.MaskedArray):
        values = values.astype(np.result_type(values.dtype, np.float32)).filled(np.nan)
    array = np.asarray(values)
    if array.dtype == object:
        array = _numbers_of_objects(array, name)
    return array.astype(_plain_type(array.dtype, name), copy=False)


def _in_memory(values: Any) -> Any:
    """Read what is lazy (dask) or still in its file."""
    for read in ("to_memory", "compute"):
        if hasattr(values, read):
            return getattr(values, read)()
    return values


def _plain_type(dtype: np.dtype, name: str) -> np.dtype:
    """Type that sums do not overflow in and compiled loops know: no bool, no half floats, no foreign byte order."""
    if dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {dtype}, not numbers")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize == 2 else np.float64)
    return dtype.newbyteorder("=")


def _numbers_of_objects(array: np.ndarray, name: str) -> np.ndarray:
    import pandas as pd

    # nullable numbers mark a gap by pd.NA, which numpy cannot convert
    known = np.where(pd.isna(array), np.nan, array)
    try:
        return known.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds objects that are not numbers: {error}") from error


def as_numbers(column: pd.Series) -> np.ndarray:
    """Return a column as float64, NaN where it has a gap or holds no number."""
    import pandas as pd

    plain = as_words(column) if column.dtype.kind not in "biuf" else column
    return pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def as_words(column: pd.Series) -> pd.Series:
    """Return a column as text, byte strings decoded, with None for gaps."""
    import pandas as pd

    codes, found = pd.factorize(column)
    words = [None if (text := word(value)) in _GAPS else text for value in found]
    return pd.Series([words[code] if code >= 0 else None for code in codes], index=column.index, dtype=object)


def word(value: Any) -> str:
    """Return one value as text; byte strings are decoded, and a whole number has no decimals."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(int(value)) if isinstance(value, float | np.floating) and value.is_integer() else str(value)


def as_flags(column: pd.Series, name: str) -> pd.Series:
    """Return a column of flags as nullable booleans.

    True and False, 1 and 0, and their words (``"true"``, ``"no"``) in any case are flags, whatever type holds them.

    Raises
    ------
    ValueError
        If it holds something else.
    """
    if column.dtype == bool:
        return column.astype("boolean")
    words = as_words(column).str.strip().str.lower()
    odd = sorted(set(words.dropna()) - _TRUE - _FALSE)
    if odd:
        raise ValueError(f"{name} must hold flags, True or False, and holds {odd[:_SHOWN]}")
    return words.map(lambda w: None if w is None else w in _TRUE, na_action="ignore").astype("boolean")


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
    flags = as_flags(column, name)
    chosen = flags.iloc[rows]
    gaps = int(chosen.isna().sum())
    if gaps:
        other = [
            v.item() if isinstance(v, np.generic) else v for v in column[(flags != gaps_are).fillna(False)].unique()
        ]
        raise ValueError(
            f"{name} is missing for {gaps} of {len(chosen)} entries: set it, or let gaps count as {gaps_are} by "
            f"{name} = {'~' if gaps_are else ''}{name}.isin({other})"
        )
    return chosen.to_numpy(dtype=bool, copy=True)


def as_ids(values: Any) -> pd.Index:
    """Return ids as whole numbers, or as text where one of them is no whole number."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(values, skipna=False)
    if kind == "integer":
        return pd.Index(np.asarray(values, dtype=np.int64))
    plain = np.asarray(values, dtype=object)
    return pd.Index(plain if kind == "string" else [word(value) for value in plain], dtype=object)
