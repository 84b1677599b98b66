"""What tables of other programs hold, as plain numbers, words and ids; conversions leave many types behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

_GAPS = {"", "nan", "None", "<NA>"}
"""What gaps become where a column is written as plain text."""


def as_matrix(values: Any, name: str) -> csr_matrix | np.ndarray:
    """Return a matrix of any kind as CSR where it is sparse, else as an array, of plain numbers.

    What is that already is not copied. Masked values become NaN.

    Raises
    ------
    ValueError
        If it holds no numbers.
    """
    from scipy import sparse

    lazy, values = values, _in_memory(values)
    if sparse.issparse(values):
        if values is not lazy:
            check_positions(values, name)
        rows = values if values.format == "csr" and isinstance(values, sparse.spmatrix) else sparse.csr_matrix(values)
        return rows.astype(_plain_type(rows.dtype, name), copy=False)
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    array = np.asarray(values)
    if array.dtype == object:
        array = _numbers_of_objects(array, name)
    return array.astype(_plain_type(array.dtype, name), copy=False)


def finite_rows(matrix: csr_matrix | np.ndarray) -> np.ndarray:
    """Boolean per row of an array or a CSR matrix: every value is finite."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(np.isfinite(matrix).all(axis=1))
    row_of_value = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return ~np.isin(np.arange(matrix.shape[0]), row_of_value[~np.isfinite(matrix.data)])


def check_positions(matrix: Any, name: str) -> None:
    """Refuse a compressed sparse matrix with positions outside of it, which compiled code follows without looking.

    What is no CSR or CSC matrix in memory is let through.

    Raises
    ------
    ValueError
        Saying which position it is.
    """
    from scipy import sparse

    if not sparse.issparse(matrix) or matrix.format not in ("csr", "csc"):
        return
    n, width = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    check_compressed(matrix.indptr, n, len(matrix.data), name)
    check_indices(matrix.indices, width, name)


def check_compressed(starts: np.ndarray, n: int, stored: int, name: str) -> None:
    """Refuse the starts of rows (or columns) that do not rise from 0 to the number of stored values.

    Raises
    ------
    ValueError
        If they do not.
    """
    rises = len(starts) == n + 1 and starts[0] == 0 and starts[-1] <= stored and (starts[1:] >= starts[:-1]).all()
    if not rises:
        raise ValueError(f"{name} is a broken sparse matrix: its indptr does not rise from 0 to {stored} in {n} steps")


def check_indices(indices: np.ndarray, width: int, name: str) -> None:
    """Refuse positions of sparse values outside of ``0..width - 1``.

    Raises
    ------
    ValueError
        With one of them.
    """
    # as unsigned numbers negative ones are large: one pass finds both
    if len(indices) and indices.view(f"u{indices.itemsize}").max() >= width:
        odd = indices[(indices < 0) | (indices >= width)][0]
        raise ValueError(f"{name} is a broken sparse matrix: it holds a value at position {odd} of {width}")


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


def as_ids(values: Any) -> pd.Index:
    """Return ids as whole numbers, or as text where one of them is no whole number."""
    import pandas as pd

    kind = pd.api.types.infer_dtype(values, skipna=False)
    if kind == "integer":
        return pd.Index(np.asarray(values, dtype=np.int64))
    plain = np.asarray(values, dtype=object)
    return pd.Index(plain if kind == "string" else [word(value) for value in plain], dtype=object)
