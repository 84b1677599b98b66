"""Points of a lattice that lie on tissue."""

from __future__ import annotations

from typing import Literal

import numpy as np

Lattice = Literal["hex", "square"]
ROW = {"hex": np.sqrt(3) / 2, "square": 1.0}
"""Distance of rows, in spacings."""


def lattice_on(mask: np.ndarray, factors: tuple[float, float], spacing: float, lattice: Lattice) -> np.ndarray:
    """Lay a lattice over an image and keep its points on tissue.

    Parameters
    ----------
    mask
        Boolean ``(y, x)`` over the whole image.
    factors
        Full-resolution pixels per pixel of the mask, ``(x, y)``.
    spacing
        Distance of neighbors in full-resolution pixels.
    lattice
        ``"hex"``: every other row is moved by half a spacing, six neighbors; ``"square"``: four.

    Returns
    -------
    ``(n, 2)`` as (x, y) in full-resolution pixels, row by row. The lattice hangs on the corner of the image, so that the
    same image always has the same points.
    """
    height, width = mask.shape[0] * factors[1], mask.shape[1] * factors[0]
    x = np.arange(spacing / 2, width, spacing)
    moved = x[x + spacing / 2 < width] + spacing / 2 if lattice == "hex" else x
    rows = [
        _on_tissue(moved if i % 2 else x, y, mask, factors)
        for i, y in enumerate(np.arange(spacing / 2, height, spacing * ROW[lattice]))
    ]
    return np.concatenate(rows) if rows else np.empty((0, 2))


def _on_tissue(x: np.ndarray, y: float, mask: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    line = mask[int(y / factors[1])]
    kept = x[line[(x / factors[0]).astype(int)]]
    return np.column_stack([kept, np.full(len(kept), y)])
