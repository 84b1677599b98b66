"""Predicted blocks of a grid in a folder, so that an interrupted call goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist.tiles._features.cache import _load, _write

Result = tuple[np.ndarray, np.ndarray]
"""Predictions ``(n, genes)``, and how far ``(n,)`` from training."""


def block_name(facts: Sequence[str], arrays: Sequence[np.ndarray]) -> str:
    """Name of a block by everything that its predictions depend on."""
    digest = hashlib.blake2b("\n".join(facts).encode(), digest_size=20)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def keep_blocks(folder: Path, names: Sequence[str], run: Callable[[list[int]], Iterator[Result]]) -> Iterator[Result]:
    """Yield the result of every block in order: what the folder holds, and the rest as it is computed and kept.

    Parameters
    ----------
    folder
        Made where missing.
    names
        Of the blocks.
    run
        Computes some blocks, given by number, in this order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.npy" for name in names]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    computed: Any = run(missing)
    for i, path in enumerate(paths):
        if i in set(missing):
            values, away = next(computed)
            _write(path, np.column_stack([values, away]).astype(np.float32))
            yield values, away
        else:
            both = _load(path)
            yield both[:, :-1], both[:, -1]
