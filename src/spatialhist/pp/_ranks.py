"""Ranks along the rows of a dense or sparse matrix.

Sorting is a radix sort of the bits of the floats: stable, as ordinal ranks need, and several times faster than
comparing. Zeros, most of a count matrix, are never sorted: they stand as one block between negatives and positives.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numba as nb
import numpy as np
import scipy.sparse as sp

Method = Literal["average", "min", "dense", "ordinal"]
Scale = Literal["raw", "unit", "normal"]

BLOCK_ROWS = 1024


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
    ``(n, k)`` float32. NaN stays NaN and is not counted; infinities are ranked.

    Raises
    ------
    ValueError
        If the method or the scale is unknown.
    """
    check_choice("method", method, Method)
    check_choice("scale", scale, Scale)
    ranks = np.empty(matrix.shape, dtype=np.float32)
    rows = matrix.tocsr() if sp.issparse(matrix) else np.asarray(matrix)
    for start in range(0, len(ranks), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        _rank_block(rows[block], ranks[block], get_args(Method).index(method))
        _rescale(ranks[block], method, scale)
    return ranks


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a value that is not one of the strings of a ``Literal``."""
    if value not in get_args(choices):
        raise ValueError(f"{name}={value!r} is not one of {list(get_args(choices))}")


def _rank_block(block: Any, out: np.ndarray, method: int) -> None:
    if sp.issparse(block):
        if not block.has_canonical_format:
            block = block.copy()
            block.sum_duplicates()
        data, columns, starts = block.data, block.indices.astype(np.int32), block.indptr.astype(np.int64)
    else:
        data, columns = block.ravel(), np.arange(block.shape[1], dtype=np.int32)
        starts = np.arange(len(block) + 1, dtype=np.int64) * block.shape[1]
    # float32 halves the passes of the sort; wider numbers would tie in it that do not tie in truth
    exact = data.dtype in (np.float32, np.float16, np.int8, np.uint8, np.int16, np.uint16)
    data = np.ascontiguousarray(data, dtype=np.float32 if exact else np.float64)
    bits = data.view(np.uint32 if exact else np.uint64)
    _rank_csr(data, bits, columns, not sp.issparse(block), starts, out, method)


def _rescale(ranks: np.ndarray, method: Method, scale: Scale) -> None:
    from scipy.special import ndtri

    if scale == "raw" or ranks.size == 0:
        return
    if method == "dense":
        size = np.fmax.reduce(ranks, axis=1, keepdims=True)
    else:
        size = np.count_nonzero(~np.isnan(ranks), axis=1, keepdims=True)
    ranks -= np.float32(0.5)
    ranks /= np.maximum(size, 1).astype(np.float32)
    if scale == "normal":
        ndtri(ranks, out=ranks)


@nb.njit(cache=True, nogil=True)
def _rank_csr(data, bits, columns, shared, starts, out, method):  # pragma: no cover
    """Rank the rows of a CSR matrix into a dense one; ``shared``: every row has all the columns."""
    n_vars = out.shape[1]
    order, spare, missing = np.empty(n_vars, np.int32), np.empty(n_vars, np.int32), np.empty(n_vars, np.int32)
    keys, spare_keys = np.empty(n_vars, bits.dtype), np.empty(n_vars, bits.dtype)
    # 4 passes over the bits of a float32, 6 over those of a float64
    counts = np.empty(1 << 8 if bits.itemsize == 4 else 1 << 11, np.int32)
    for i in range(out.shape[0]):
        row = slice(starts[i], starts[i + 1])
        found, negative, lost = _collect(
            data[row], bits[row], columns if shared else columns[row], keys, order, missing
        )
        keys, spare_keys, order, spare = _radix_sort(found, keys, spare_keys, order, spare, counts)
        _assign(out[i], keys[:found], order[:found], missing[:lost], negative, method)
        _fill(out[i], missing[:lost], np.nan)


@nb.njit(cache=True, nogil=True)
def _collect(values, bits, columns, keys, order, missing):  # pragma: no cover
    """Gather what is neither zero nor NaN; the keys sort like the values they are made of."""
    found, negative, lost = 0, 0, 0
    sign = keys.dtype.type(1) << keys.dtype.type(keys.itemsize * 8 - 1)
    for j in range(len(values)):
        value = values[j]
        if value != value:
            missing[lost] = columns[j]
            lost += 1
            continue
        # written whether it counts or not: a branch on zeros, which nothing predicts, would cost more
        keys[found] = ~bits[j] if value < 0 else bits[j] | sign
        order[found] = columns[j]
        found += value != 0
        negative += value < 0
    return found, negative, lost


@nb.njit(cache=True, nogil=True)
def _radix_sort(n, keys, spare_keys, order, spare, counts):  # pragma: no cover
    """Sort the first ``n`` keys and the columns that belong to them, digit by digit from the lowest."""
    mask = keys.dtype.type(len(counts) - 1)
    digit = 8 if len(counts) == 256 else 11
    for shift in range(0, keys.itemsize * 8, digit):
        counts[:] = 0
        for j in range(n):
            counts[(keys[j] >> keys.dtype.type(shift)) & mask] += 1
        if n == 0 or counts[(keys[0] >> keys.dtype.type(shift)) & mask] == n:
            continue
        start = 0
        for d in range(len(counts)):
            start, counts[d] = start + counts[d], start
        for j in range(n):
            d = (keys[j] >> keys.dtype.type(shift)) & mask
            spare_keys[counts[d]], spare[counts[d]] = keys[j], order[j]
            counts[d] += 1
        keys, spare_keys, order, spare = spare_keys, keys, spare, order
    return keys, spare_keys, order, spare


@nb.njit(cache=True, nogil=True)
def _assign(ranks, keys, order, missing, negative, method):  # pragma: no cover
    """Turn the sorted values of a row into ranks; the zeros stand after the first ``negative`` of them."""
    zeros = len(ranks) - len(keys) - len(missing)
    distinct = 0
    for j in range(negative):
        distinct += j == 0 or keys[j] != keys[j - 1]
    ranks[:] = _rank(method, negative, zeros, distinct + 1, 0)
    if method == 3:
        _count_zeros(ranks, order, missing, negative)
    distinct, start = 0, 0
    while start < len(keys):
        stop = start + 1
        while stop < len(keys) and keys[stop] == keys[start]:
            stop += 1
        past_zeros = start >= negative and zeros > 0
        before = start + zeros if past_zeros else start
        distinct += 1
        for j in range(start, stop):
            ranks[order[j]] = _rank(method, before, stop - start, distinct + past_zeros, j - start)
        start = stop


@nb.njit(cache=True, nogil=True)
def _count_zeros(ranks, order, missing, negative):  # pragma: no cover
    """Number the zeros from left to right."""
    _fill(ranks, order, 0)
    _fill(ranks, missing, 0)
    seen = 0
    for c in range(len(ranks)):
        seen += ranks[c] != 0
        ranks[c] = negative + seen


@nb.njit(cache=True, nogil=True)
def _fill(ranks, columns, value):  # pragma: no cover
    for c in columns:
        ranks[c] = value


@nb.njit(cache=True, nogil=True)
def _rank(method, before, ties, distinct, place):  # pragma: no cover
    """Rank of the ``place``-th of ``ties`` equal values with ``before`` smaller ones; the codes are Method's order."""
    if method == 0:
        return before + (ties + 1) / 2
    if method == 1:
        return before + 1
    if method == 2:
        return distinct
    return before + place + 1
