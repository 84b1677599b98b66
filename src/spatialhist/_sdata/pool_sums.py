"""Sums and means over the members of groups; pure arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

NONE = -1
"""Group of a row that belongs to none."""
EXACT = {np.dtype(np.float32): 2.0**24, np.dtype(np.float64): 2.0**53}
"""Up to where whole numbers of a type have no gaps."""


def sum_rows(values: Any, group: np.ndarray, n: int) -> Any:
    """Sum the rows of every group: counts stay whole numbers, sparse matrices sparse.

    Parameters
    ----------
    values
        ``(rows, columns)``, CSR or an array.
    group
        Group of every row, :data:`NONE` for those that are left out.
    n
        Number of groups.

    Returns
    -------
    csr_matrix | ndarray
        ``(n, columns)``, of a type that holds the sums exactly.
    """
    # counts of 8 or 16 bits would overflow in a sum
    wide = np.result_type(values.dtype, np.int32) if values.dtype.kind in "iu" else values.dtype
    sums = _indicator(group, n, wide) @ values
    largest = abs(sums).max() if 0 not in sums.shape else 0
    # only where it is needed: double precision takes twice the memory
    if wide in EXACT and largest >= EXACT[wide] and wide != np.float64:
        return sum_rows(values.astype(np.float64), group, n)
    return sums


def _indicator(group: np.ndarray, n: int, dtype: np.dtype) -> sp.csr_matrix:
    """Matrix ``(n, rows)`` with a one where a row belongs to a group."""
    rows = np.flatnonzero(group != NONE)
    members = rows[np.argsort(group[rows], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(group[rows], minlength=n))])
    return sp.csr_matrix((np.ones(len(rows), dtype), members, starts), shape=(n, len(group)))


def mean_rows(values: Any, group: np.ndarray, n: int) -> np.ndarray:
    """Means of the known values of every group ``(n, columns)``, NaN where none is known."""
    dense = np.asarray(values.toarray() if sp.issparse(values) else values, dtype=np.float64)
    known = np.isfinite(dense)
    with np.errstate(invalid="ignore"):
        return sum_rows(np.where(known, dense, 0), group, n) / sum_rows(known.astype(np.float64), group, n)
