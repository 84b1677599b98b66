"""Which features Space Ranger counted, beside genes and under their symbols."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
            stacklevel=4,
        )


def symbols(counts: Path) -> pd.DataFrame:
    """Symbol and id of every gene, in the order of the file."""
    features = read_features(counts)
    return features.loc[features["type"] == GENES, ["symbol", "id"]]


def read_features(counts: Path) -> pd.DataFrame:
    """Symbol, id and type of everything that was counted, in the order of the file."""
    keys = {"symbol": "name", "id": "id", "type": "feature_type"}
    found = {name: _texts(counts, key) for name, key in keys.items()}
    if len({len(texts) for texts in found.values()}) > 1:
        raise ValueError(f"{counts} is a broken matrix: its features have unlike numbers of names, ids and types")
    return pd.DataFrame(found)


def _texts(counts: Path, key: str) -> list[str]:
    with open_matrix(counts) as matrix:
        return [text.decode() if isinstance(text, bytes) else str(text) for text in matrix[f"features/{key}"][:]]


@contextmanager
def open_matrix(counts: Path) -> Iterator[h5py.Group]:
    """The matrix in a file, with what is wrong with it named."""
    says = "{path} is no feature-barcode matrix of Space Ranger, or a broken one: {error}"
    # h5py raises OSError and RuntimeError for damage, and text that is no UTF-8 comes out when it is decoded
    with intact(counts, says, errors=(*BROKEN, OSError, RuntimeError, UnicodeError)), own_hdf5(counts) as file:
        yield file["matrix"]


def check_matrix(counts: Path) -> None:
    """Refuse a matrix with positions outside of it, before it is cut to genes by code that does not look.

    Raises
    ------
    ValueError
        If it has some, or is broken.
    """
    with open_matrix(counts) as matrix:
        n_genes, n_barcodes = (int(n) for n in matrix["shape"][:])
        stored, indices = matrix["data"].size, matrix["indices"]
        check_compressed(matrix["indptr"][:], n_barcodes, stored, str(counts))
        if indices.size != stored:
            raise ValueError(f"{counts} is a broken sparse matrix: {stored} values at {indices.size} positions")
        for start in range(0, stored, PART):
            check_indices(indices[start : start + PART], n_genes, str(counts))
