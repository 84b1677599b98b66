"""How often spots and genes, as one integer, were met among more transcripts than memory holds."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BITS = 21
"""Of the number of a gene, which stands behind that of a spot in one integer."""


STRETCH = 1 << 20
"""Integers that are sorted at once."""


class Sums:
    """How often each integer was added, in memory for those that differ."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._runs)

    def add(self, keys: np.ndarray) -> None:
        """Add integers. Runs of like lengths are merged, so that each integer is moved a few times only."""
        found, n = np.unique(keys, return_counts=True)
        self._runs.append((found, n.astype(np.int32)))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))

    def total(self) -> tuple[np.ndarray, np.ndarray]:
        """Integers in order, and how often each was added."""
        while len(self._runs) > 1:
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))
        return self._runs.pop()


def _merged(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Merge two runs, a stretch of integers at a time, so that no run is copied as a whole."""
    # cut where the longer run fills a stretch, so that equal integers of both fall into the same one
    long, short = (a, b) if len(a[0]) >= len(b[0]) else (b, a)
    keys = np.empty(len(long[0]) + len(short[0]), dtype=np.int64)
    counts = np.empty(len(keys), dtype=np.int32)
    at = np.arange(0, len(long[0]), STRETCH)[1:]
    cuts = [
        np.concatenate([[0], where, [len(run[0])]])
        for run, where in ((long, at), (short, np.searchsorted(short[0], long[0][at])))
    ]
    end = 0
    for (i, j), (k, m) in zip(pairwise(cuts[0]), pairwise(cuts[1]), strict=True):
        found, n = _summed(np.concatenate([long[0][i:j], short[0][k:m]]), np.concatenate([long[1][i:j], short[1][k:m]]))
        keys[end : end + len(found)], counts[end : end + len(found)] = found, n
        end += len(found)
    # in place: a slice would keep the longer arrays alive
    keys.resize(end, refcheck=False)
    counts.resize(end, refcheck=False)
    return keys, counts


def _summed(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(keys):
        return keys, counts
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts[order], starts)


def counts_matrix(
    keys: np.ndarray, counts: np.ndarray, columns: list[int], n_features: int
) -> tuple[np.ndarray, csr_matrix]:
    """Spots in order, and their counts with genes in the columns that are asked for."""
    from scipy.sparse import csr_matrix

    spot = keys >> BITS
    starts = np.flatnonzero(np.concatenate([[True], spot[1:] != spot[:-1]]))
    spots = spot[starts]
    # one integer a spot and gene: large, and of no more use
    del spot
    # empty: numbers of features that are no gene are never looked up, since only genes were counted
    column = np.empty(n_features, dtype=np.int32)
    column[columns] = np.arange(len(columns), dtype=np.int32)
    indices = column[keys & ((1 << BITS) - 1)]
    indptr = np.append(starts, len(keys))
    matrix = csr_matrix((counts.astype(np.float32), indices, indptr), shape=(len(starts), len(columns)))
    matrix.sort_indices()
    return spots, matrix
