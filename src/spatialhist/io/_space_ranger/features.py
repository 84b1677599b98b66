"""Which features Space Ranger counted, beside genes and under their symbols."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

GENES = "Gene Expression"


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
    import h5py

    try:
        with h5py.File(counts) as file:
            stored = file[f"matrix/features/{key}"][:]
    except (KeyError, OSError, TypeError) as error:
        raise ValueError(f"{counts} is no feature-barcode matrix of Space Ranger, or a broken one: {error}") from error
    return [text.decode() if isinstance(text, bytes) else str(text) for text in stored]
