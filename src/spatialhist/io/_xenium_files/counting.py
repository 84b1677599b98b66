"""Count transcripts in the spots of a lattice, without holding them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.lattice_bins import cell_centers, cell_codes, decode_cells, lattice_cells
from spatialhist.io._xenium_files.features import GENE
from spatialhist.io._xenium_files.transcripts import Features, read_parts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from spatialhist.io._xenium_files.transcripts import Part

BITS = 21
"""Of the number of a gene, which stands behind that of a spot in one integer."""


STRETCH = 1 << 20
"""Integers that are sorted at once."""


@dataclass
class Tally:
    """What became of transcripts.

    Attributes
    ----------
    counted
        Of genes, in spots or cells.
    low_quality
        Of genes, below the least quality; None where Xenium left them out before.
    controls
        Of controls and codewords that belong to no gene, by kind, whatever their quality.
    """

    counted: int = 0
    low_quality: int | None = 0
    controls: dict[str, int] = field(default_factory=dict)

    def add_controls(self, kinds: dict[str, int]) -> None:
        """Add numbers by kind."""
        for kind, n in kinds.items():
            self.controls[kind] = self.controls.get(kind, 0) + n

    def __str__(self) -> str:
        controls = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in sorted(self.controls.items()))
        low = "" if self.low_quality is None else f"{self.low_quality:,} of low quality and "
        told = f"{sum(self.controls.values()):,} of no gene{controls and f' ({controls})'}"
        return f"{self.counted:,} transcripts counted; left out {low}{told}"


@dataclass(frozen=True)
class Counted:
    """Spots with their counts.

    Attributes
    ----------
    centers
        ``(n, 2)`` in micrometers.
    matrix
        Spots x genes.
    genes
        In the order of names, those without a transcript of good quality among them.
    tally
        What became of transcripts.
    """

    centers: np.ndarray
    matrix: csr_matrix
    genes: list[str]
    tally: Tally


def count_in_spots(path: Path, spacing: float, lattice: str, min_qv: float) -> Counted:
    """Count the transcripts of a file in spots that touch and do not overlap: each falls into exactly one.

    Raises
    ------
    ValueError
        If the file is damaged, or holds no transcript of a gene.
    """
    features, sums, tally, genes = Features(), _Sums(), Tally(), set[int]()
    for part in read_parts(path, features):
        kept = _take_genes(part, min_qv, tally)
        # of any quality, so that the panel does not depend on min_qv
        genes.update(np.unique(part.feature[part.kind == GENE]).tolist())
        # a larger number would run into that of the spot
        if len(features.names) > 1 << BITS:
            raise ValueError(f"{path} names more than {1 << BITS:,} features: it is no table of transcripts")
        try:
            cells = lattice_cells(part.xy[kept], spacing, lattice)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        sums.add((cell_codes(cells) << BITS) + part.feature[kept])
    if not tally.counted:
        raise ValueError(f"{path} holds no transcript of a gene of quality {min_qv:g} or more ({tally}): lower min_qv=")
    columns = sorted(genes, key=features.names.__getitem__)
    codes, matrix = _matrix(*sums.total(), columns, len(features.names))
    centers = cell_centers(decode_cells(codes), spacing, lattice)
    return Counted(centers, matrix, [features.names[i] for i in columns], tally)


def _take_genes(part: Part, min_qv: float, tally: Tally) -> np.ndarray:
    """Boolean of the transcripts that count; the others are told."""
    kinds = part.kind.value_counts()
    tally.add_controls({str(kind): int(n) for kind, n in kinds.items() if kind != GENE and n})
    is_gene = np.asarray(part.kind == GENE)
    kept = is_gene & (part.quality >= min_qv)
    tally.counted += int(kept.sum())
    tally.low_quality = (tally.low_quality or 0) + int(is_gene.sum() - kept.sum())
    return kept


class _Sums:
    """How often each integer was added, in memory for those that differ."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

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


def _matrix(keys: np.ndarray, counts: np.ndarray, columns: list[int], n_features: int) -> tuple[np.ndarray, csr_matrix]:
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
