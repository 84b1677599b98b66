"""Ranks along the rows of a dense or sparse matrix.

Sorting is a radix sort of the bits of the numbers: stable, as ordinal ranks need, and several times faster than
comparing. Zeros, most of a count matrix, are never sorted: they stand as one block between negatives and positives.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numba as nb
import numpy as np
import scipy.sparse as sp

from spatialhist._runtime.checks import check_choice
from spatialhist.metrics._shared.arrays import as_slice

Method = Literal["average", "min", "dense", "ordinal"]
Scale = Literal["raw", "unit", "normal"]

BLOCK_ROWS = 1024
"""Spots that are ranked at a time."""
MANY = 1000
"""From so many values on, 3 passes over 11 bits are faster than 4 over 8."""


def rank_rows(matrix: Any, *, method: Method = "average", scale: Scale = "raw") -> np.ndarray:
    """Rank every row of a matrix.

    Parameters
    ----------
    matrix
        ``(n, k)``, numpy or scipy sparse. Sparse rows are worked on as they are; only the result is dense.
    method
        How ties are ranked, as in :func:`scipy.stats.rankdata`.
    scale
        ``"raw"`` 1..K, ``"unit"`` (rank - 0.5) / K, strictly between 0 and 1, or ``"normal"``, the standard normal
        quantile of the latter. K is the number of values ranked, for ``"dense"`` of distinct ones.

    Returns
    -------
    ndarray
        ``(n, k)`` float32. NaN stays NaN and is not counted; infinities are ranked.

    Raises
    ------
    ValueError
        If the method or the scale is unknown.
    """
    ranks = np.empty(matrix.shape, dtype=np.float32)
    rank_into(ranks, matrix, np.arange(len(ranks)), method=method, scale=scale)
    return ranks


def rank_into(
    ranks: np.ndarray,
    matrix: Any,
    rows: np.ndarray,
    *,
    method: Method = "average",
    scale: Scale = "raw",
    absent: np.ndarray | None = None,
) -> None:
    """Rank some rows of a matrix, as :func:`rank_rows` does, into the same rows of another; each value is written once.

    Parameters
    ----------
    ranks
        ``(n, k)`` float32.
    matrix
        ``(n, k)``, numpy or scipy sparse.
    rows
        Ascending positions.
    absent
        Boolean ``(k,)``: columns that count as NaN.
    """
    check_choice("method", method, Method)
    check_choice("scale", scale, Scale)
    matrix = matrix.tocsr() if sp.issparse(matrix) else np.asarray(matrix)
    absent = np.zeros(ranks.shape[1], dtype=bool) if absent is None else absent
    plain = np.arange(2 * ranks.shape[1] + 1, dtype=np.float32) / 2
    # the sizes of "dense" are known only when a row has been ranked
    later = method == "dense" and scale != "raw"
    steps = plain if later else _rescaled(plain.copy(), int(np.count_nonzero(~absent)), scale)
    for start in range(0, len(rows), BLOCK_ROWS):
        some = rows[start : start + BLOCK_ROWS]
        whole = np.zeros(len(some), dtype=bool)
        _rank_block(matrix[as_slice(some)], ranks, some, absent, plain, steps, whole, get_args(Method).index(method))
        rest = some if later else some[~whole]
        if len(rest) and scale != "raw":
            ranks[rest] = _rescaled(ranks[rest], _sizes(ranks[rest], method), scale)


def _rank_block(
    block: Any,
    out: np.ndarray,
    rows: np.ndarray,
    absent: np.ndarray,
    plain: np.ndarray,
    steps: np.ndarray,
    whole: np.ndarray,
    method: int,
) -> None:
    if sp.issparse(block):
        if not block.has_canonical_format:
            # entries of one place are summed: ranked apart, a gene would have two ranks. Turned over twice, the entries are
            # sorted in linear time
            block = block.tocsc().tocsr()
            block.sum_duplicates()
        data, columns, starts = block.data, block.indices.astype(np.int32, copy=False), block.indptr.astype(np.int64)
    else:
        data, columns = block.ravel(), np.arange(block.shape[1], dtype=np.int32)
        starts = np.arange(len(block) + 1, dtype=np.int64) * block.shape[1]
    data = np.ascontiguousarray(data, dtype=_sorted_as(data))
    bits = data.view(f"u{data.itemsize}")
    # of two negative floats the one of more bits is the smaller, of whole numbers the larger
    negated = ~bits.dtype.type(0) if data.dtype.kind == "f" else bits.dtype.type(1 << (8 * data.itemsize - 1))
    shared = not sp.issparse(block)
    _rank_csr(data, bits, negated, columns, shared, starts, out, rows, absent, plain, steps, whole, method)


def _sorted_as(data: np.ndarray) -> type[np.number]:
    """Type of the fewest bits, and so passes of the sort, in which values tie only if they are equal."""
    if data.dtype.kind in "biu":
        low, high = (data.min(), data.max()) if data.size else (0, 0)
        for whole in (np.int32, np.int64):
            if np.iinfo(whole).min <= low and high <= np.iinfo(whole).max:
                return whole
    return np.float32 if data.dtype in (np.float32, np.float16) else np.float64


def _sizes(ranks: np.ndarray, method: Method) -> np.ndarray:
    """What is ranked in every row ``(n, 1)``."""
    if method == "dense":
        return np.fmax.reduce(ranks, axis=1, keepdims=True)
    return np.count_nonzero(~np.isnan(ranks), axis=1, keepdims=True)


def _rescaled(ranks: np.ndarray, size: np.ndarray | int, scale: Scale) -> np.ndarray:
    """Ranks on a scale; overwritten."""
    from scipy.special import ndtri

    if scale == "raw" or ranks.size == 0:
        return ranks
    # middles of steps: the quantiles 0 and 1 of a normal distribution are infinite
    ranks -= np.float32(0.5)
    ranks /= np.maximum(size, 1).astype(np.float32)
    return ndtri(ranks, out=ranks) if scale == "normal" else ranks


@nb.njit(cache=True, nogil=True)
def _rank_csr(
    data, bits, negated, columns, shared, starts, out, rows, absent, plain, steps, whole, method
):  # pragma: no cover
    """Rank the rows of a CSR matrix into rows of a dense one; ``shared``: every row has all the columns.

    A rank is written as ``steps`` has it at twice the rank, in rows of which values are NaN as ``plain`` has it; ``whole``
    tells the others. Relies on starts that rise within the data, on columns below the width of ``out``, none of them twice
    in a row, on rows within ``out``, and on two steps a column: a table's are looked at when it is opened, and
    :func:`_rank_block` adds up what is there twice.
    """
    n_vars = out.shape[1]
    keys, spare = np.empty(n_vars, np.uint64), np.empty(n_vars, np.uint64)
    low, missing = np.zeros(n_vars, np.uint32), np.empty(n_vars, np.int32)
    counts = np.empty(1 << 11, np.int32)
    never = 0
    for c in range(n_vars):
        if absent[c]:
            missing[never] = c
            never += 1
    for i in range(len(rows)):
        row = slice(starts[i], starts[i + 1])
        found, negative, lost = _collect(
            data[row], bits[row], negated, columns if shared else columns[row], absent, never, keys, low, missing
        )
        keys, spare = _radix_sort(found, keys, spare, counts)
        if bits.itemsize == 8:
            _sort_low(keys[:found], low)
        whole[i] = lost == never
        _assign(out[rows[i]], keys[:found], low, missing[:lost], negative, steps if whole[i] else plain, method)
        _fill(out[rows[i]], missing[:lost], np.nan)


@nb.njit(cache=True, nogil=True)
def _collect(values, bits, negated, columns, absent, lost, keys, low, missing):  # pragma: no cover
    """Gather what is neither zero nor NaN, of columns that are not absent; these are ``lost`` from the start.

    A key holds 32 bits that sort like the values, then the column; what remains of wider values goes to ``low``. Relies on
    columns below the lengths of ``absent``, ``keys``, ``low`` and ``missing``, none of them twice.
    """
    found, negative = 0, 0
    sign = bits.dtype.type(1) << bits.dtype.type(bits.itemsize * 8 - 1)
    for j in range(len(values)):
        value, column = values[j], np.uint32(columns[j])
        if absent[column]:
            continue
        if value != value:
            missing[lost] = columns[j]
            lost += 1
            continue
        # written whether it counts or not: a branch on zeros, which nothing predicts, would cost more
        key = bits[j] ^ (negated if value < 0 else sign)
        if bits.itemsize == 8:
            low[column] = np.uint32(key & np.uint64(0xFFFFFFFF))
            keys[found] = key >> np.uint64(32) << np.uint64(32) | np.uint64(column)
        else:
            keys[found] = np.uint64(key) << np.uint64(32) | np.uint64(column)
        found += value != 0
        negative += value < 0
    return found, negative, lost


@nb.njit(cache=True, nogil=True)
def _radix_sort(n, keys, spare, counts):  # pragma: no cover
    """Sort the first ``n`` keys by their upper 32 bits, digit by digit from the lowest in which they differ.

    Relies on ``n`` within the lengths of ``keys`` and ``spare``, and on 2048 counts.
    """
    differ = np.uint64(0)
    for j in range(n):
        differ |= (keys[j] ^ keys[0]) >> np.uint64(32)
    digit = 8 if n < MANY else 11
    count, mask, shift = counts[: 1 << digit], np.uint64((1 << digit) - 1), 0
    while differ >> np.uint64(shift):
        if differ >> np.uint64(shift) & np.uint64(1) == 0:
            shift += 1
            continue
        count[:] = 0
        at = np.uint64(32 + shift)
        for j in range(n):
            count[np.int64(keys[j] >> at & mask)] += np.int32(1)
        start = np.int32(0)
        for d in range(len(count)):
            start, count[d] = start + count[d], start
        for j in range(n):
            d = np.int64(keys[j] >> at & mask)
            spare[count[d]] = keys[j]
            count[d] += np.int32(1)
        keys, spare = spare, keys
        shift += digit
    return keys, spare


@nb.njit(cache=True, nogil=True)
def _sort_low(keys, low):  # pragma: no cover
    """Sort what is equal in its upper 32 bits by the lower ones; there is little of it, or its values are equal.

    Relies on columns in the keys below the length of ``low``.
    """
    start = 0
    while start < len(keys):
        stop, equal = start + 1, True
        while stop < len(keys) and keys[stop] >> np.uint64(32) == keys[start] >> np.uint64(32):
            equal &= low[_column(keys[stop])] == low[_column(keys[start])]
            stop += 1
        if not equal:
            run = keys[start:stop].copy()
            order = np.argsort(low[(run & np.uint64(0xFFFFFFFF)).astype(np.int64)], kind="mergesort")
            keys[start:stop] = run[order]
        start = stop


@nb.njit(cache=True, nogil=True)
def _column(key):  # pragma: no cover
    return np.int64(key & np.uint64(0xFFFFFFFF))


@nb.njit(cache=True, nogil=True)
def _tied(a, b, low):  # pragma: no cover
    """Whether two keys hold equal values; relies on their columns being below the length of ``low``."""
    return a >> np.uint64(32) == b >> np.uint64(32) and low[_column(a)] == low[_column(b)]


@nb.njit(cache=True, nogil=True)
def _assign(ranks, keys, low, missing, negative, steps, method):  # pragma: no cover
    """Turn the sorted values of a row into ranks; the zeros stand after the first ``negative`` of them.

    Relies on columns in the keys below the lengths of ``ranks`` and ``low``, and on ``steps`` for twice as many ranks.
    """
    zeros = len(ranks) - len(keys) - len(missing)
    if method == 3:
        _assign_ordinal(ranks, keys, missing, negative, zeros, steps)
        return
    smaller, distinct, start = 0, 0, 0
    for j in range(negative if method == 2 else 0):
        smaller += j == 0 or not _tied(keys[j], keys[j - 1], low)
    if zeros > 0:
        ranks[:] = steps[_twice(method, negative, zeros, smaller + 1)]
    for j in range(len(keys)):
        if j + 1 < len(keys) and _tied(keys[j + 1], keys[j], low):
            continue
        past_zeros = start >= negative and zeros > 0
        distinct += 1
        rank = steps[_twice(method, start + zeros * past_zeros, j + 1 - start, distinct + past_zeros)]
        for k in range(start, j + 1):
            ranks[_column(keys[k])] = rank
        start = j + 1


@nb.njit(cache=True, nogil=True)
def _assign_ordinal(ranks, keys, missing, negative, zeros, steps):  # pragma: no cover
    """Number the values; equal ones, and so the zeros, from left to right.

    Relies on columns in the keys below the length of ``ranks``, and on ``steps`` for twice as many ranks.
    """
    if zeros > 0:
        ranks[:] = 1
        _fill(ranks, missing, 0)
        for key in keys:
            ranks[_column(key)] = 0
        seen = 0
        for c in range(len(ranks)):
            seen += ranks[c] != 0
            ranks[c] = steps[2 * (negative + seen)]
    for j in range(len(keys)):
        ranks[_column(keys[j])] = steps[2 * (j + 1 + (zeros if j >= negative else 0))]


@nb.njit(cache=True, nogil=True)
def _fill(ranks, columns, value):  # pragma: no cover
    """Set some columns; relies on their being below the length of ``ranks``."""
    for c in columns:
        ranks[c] = value


@nb.njit(cache=True, nogil=True)
def _twice(method, before, ties, distinct):  # pragma: no cover
    """Twice the rank of ``ties`` equal values with ``before`` smaller ones; the codes are Method's order."""
    if method == 0:
        return 2 * before + ties + 1
    return 2 * (before + 1) if method == 1 else 2 * distinct
