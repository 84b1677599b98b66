"""Counts of a feature-barcode matrix, sparse, without a second copy of them in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from spatialhist._sdata.values import check_compressed, check_indices
from spatialhist.io._space_ranger.features import GENES, PART, open_matrix, read_features

if TYPE_CHECKING:
    import h5py

MOST_PER_BYTE = 1100
"""Values that a byte of a file can hold: deflate packs a thousand bytes of zeros into one."""


@dataclass(frozen=True)
class Counts:
    """Counts of one slide.

    Attributes
    ----------
    barcodes
        Of bins, cells or spots.
    matrix
        Barcodes x genes, float32.
    genes
        Symbol and id of every gene.
    """

    barcodes: pd.Index
    matrix: sparse.csr_matrix
    genes: pd.DataFrame


def read_counts(path: Path) -> Counts:
    """Read the genes of a matrix; other features are left out.

    Raises
    ------
    ValueError
        If it is no matrix, a broken one, or names a barcode twice.
    """
    with open_matrix(path) as matrix:
        rows = _read_rows(matrix, path)
        barcodes = pd.Index(matrix["barcodes"][:].astype("U"), dtype=object)
    features = read_features(path)
    if rows.shape != (len(barcodes), len(features)):
        raise ValueError(
            f"{path} is a broken matrix: {rows.shape[0]} x {rows.shape[1]} values for {len(barcodes)} barcodes and "
            f"{len(features)} features"
        )
    if barcodes.has_duplicates:
        raise ValueError(f"{path} holds barcodes twice, e.g. {barcodes[barcodes.duplicated()][0]!r}")
    genes = (features["type"] == GENES).to_numpy()
    if not genes.any():
        raise ValueError(f"{path} holds no features of type {GENES!r}; it has {sorted(set(features['type']))}")
    return Counts(barcodes, rows if genes.all() else rows[:, genes], features[genes])


def _read_rows(matrix: h5py.Group, path: Path) -> sparse.csr_matrix:
    """Read values part by part into the types they stay in; columns of the file are barcodes, so they become rows."""
    n_genes, n_barcodes = (int(n) for n in matrix["shape"][:])
    stored = matrix["data"].size
    if matrix["data"].dtype.kind not in "iuf":
        raise ValueError(f"{path} is a broken sparse matrix: it holds {matrix['data'].dtype}, not numbers")
    # before memory is asked for: a header can promise any number of values
    if matrix["indices"].size != stored or stored > MOST_PER_BYTE * path.stat().st_size:
        raise ValueError(f"{path} is a broken sparse matrix: {stored} values at {matrix['indices'].size} positions")
    starts = matrix["indptr"][:]
    check_compressed(starts, n_barcodes, stored, str(path))
    # part by part: wider types of the file would stand beside these as a whole
    values, positions = np.empty(stored, dtype=np.float32), np.empty(stored, dtype=np.int32)
    for start in range(0, stored, PART):
        part = slice(start, start + PART)
        found = matrix["indices"][part]
        check_indices(found, n_genes, str(path))
        positions[part], values[part] = found, matrix["data"][part]
    return sparse.csr_matrix((values, positions, starts), shape=(n_barcodes, n_genes))
