"""Which features Space Ranger counted, beside genes and under their symbols."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatialhist._runtime.files import BROKEN, intact, own_hdf5
from spatialhist._sdata.values import check_compressed, check_indices

if TYPE_CHECKING:
    import h5py

GENES = "Gene Expression"
PART = 1 << 22
"""Positions that are looked at together."""


def warn_other_features(counts: Path) -> None:
    """Say which features are no genes, since only genes are read."""
    kinds = Counter(_texts(counts, "feature_type"))
    others = {kind: n for kind, n in kinds.items() if kind != GENES}
    if others:
        told = ", ".join(f"{n} of type {kind!r}" for kind, n in others.items())
        warnings.warn(
            f"{counts} holds features that are no genes, which are left out: {told}. To have them, read the file with "
            "scanpy.read_10x_h5(path, gex_only=False)",
            UserWarning,
            stacklevel=4,
        )


def symbols(counts: Path) -> pd.DataFrame:
    """Symbol and id of every gene, in the order of the file."""
    frame = pd.DataFrame({name: _texts(counts, key) for name, key in (("symbol", "name"), ("id", "id"))})
    return frame[np.array(_texts(counts, "feature_type")) == GENES]


def _texts(counts: Path, key: str) -> list[str]:
    with _matrix(counts) as matrix:
        stored = matrix[f"features/{key}"][:]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in stored]


@contextmanager
def _matrix(counts: Path) -> Iterator[h5py.Group]:
    says = "{path} is no feature-barcode matrix of Space Ranger, or a broken one: {error}"
    with intact(counts, says, errors=(*BROKEN, OSError, RuntimeError)), own_hdf5(counts) as file:
        yield file["matrix"]


def check_matrix(counts: Path) -> None:
    """Refuse a matrix with positions outside of it, before it is cut to genes by code that does not look.

    Raises
    ------
    ValueError
        If it has some, or is broken.
    """
    with _matrix(counts) as matrix:
        n_genes, n_barcodes = (int(n) for n in matrix["shape"][:])
        stored, indices = matrix["data"].size, matrix["indices"]
        check_compressed(matrix["indptr"][:], n_barcodes, stored, str(counts))
        if indices.size != stored:
            raise ValueError(f"{counts} is a broken sparse matrix: {stored} values at {indices.size} positions")
        for start in range(0, stored, PART):
            check_indices(indices[start : start + PART], n_genes, str(counts))
