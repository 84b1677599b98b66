"""Which spot of a regular lattice each point falls into; pure arrays."""

from __future__ import annotations

import numpy as np

ROW = {"hex": np.sqrt(3) / 2, "square": 1.0}
"""Distance of rows, in spacings."""
MOST_CELLS = 1 << 20
"""Rows or columns on either side of the origin, so that both fit into one integer."""


def lattice_bins(points: np.ndarray, spacing: float, lattice: str = "hex") -> tuple[np.ndarray, np.ndarray]:
    """Put each point into the spot of a lattice whose center is nearest.

    Spots touch and do not overlap: squares, or hexagons, whose opposite sides are one spacing apart. The lattice hangs on
    the origin, which is the corner of a square, so that bins of 8 um pool to spots of 16 um without being cut.

    Parameters
    ----------
    points
        ``(n, 2)`` as (x, y), finite.
    spacing
        Distance of neighboring centers in the unit of the points.
    lattice
        ``"hex"``: every other row is moved by half a spacing; ``"square"``.

    Returns
    -------
    tuple
        Spot of each point ``(n,)``, and the centers ``(m, 2)`` of spots with points, row by row.
    """
    codes, spot = np.unique(cell_codes(lattice_cells(points, spacing, lattice)), return_inverse=True)
    return spot, cell_centers(decode_cells(codes), spacing, lattice)


def lattice_cells(points: np.ndarray, spacing: float, lattice: str = "hex") -> np.ndarray:
    """Row and column ``(n, 2)`` of the cell that each point falls into; may be called part by part.

    Raises
    ------
    ValueError
        If a point is not finite, or lies more than a million cells from the origin.
    """
    points = np.asarray(points, dtype=float)
    # written so that NaN, which is not less than anything, is refused too
    if not (np.abs(points) < (MOST_CELLS - 1) * spacing * ROW[lattice]).all():
        worst = points[~(np.abs(points) < (MOST_CELLS - 1) * spacing * ROW[lattice]).all(axis=1)][0]
        raise ValueError(f"point {worst.tolist()} is not finite, or too far away for spots that are {spacing:g} apart")
    if lattice == "square":
        return np.floor(points[:, ::-1] / spacing).astype(np.int64)
    # rounding rows and columns alone is wrong near corners of hexagons: the nearer of two candidates is exact
    even, odd = _rectangular(points, spacing, 0), _rectangular(points, spacing, 1)
    nearer = _squared(points, odd, spacing) < _squared(points, even, spacing)
    return np.where(nearer[:, None], odd, even)


def _rectangular(points: np.ndarray, spacing: float, parity: int) -> np.ndarray:
    """Nearest cell among the even or the odd rows of a hexagonal lattice, whose centers form a rectangular one."""
    column = np.floor(points[:, 0] / spacing - parity / 2)
    row = 2 * np.rint((points[:, 1] / spacing - 0.5) / (2 * ROW["hex"]) - parity / 2) + parity
    return np.column_stack([row, column]).astype(np.int64)


def _squared(points: np.ndarray, cells: np.ndarray, spacing: float) -> np.ndarray:
    return ((points - cell_centers(cells, spacing, "hex")) ** 2).sum(axis=1)


def cell_centers(cells: np.ndarray, spacing: float, lattice: str = "hex") -> np.ndarray:
    """Centers ``(n, 2)`` as (x, y) of cells ``(n, 2)`` given by row and column."""
    row, column = cells[:, 0], cells[:, 1]
    moved = row % 2 / 2 if lattice == "hex" else 0.0
    return np.column_stack([column + 0.5 + moved, row * ROW[lattice] + 0.5]) * spacing


def cell_codes(cells: np.ndarray) -> np.ndarray:
    """One integer a cell, in the order of rows and then columns."""
    return (cells[:, 0] + MOST_CELLS) * (2 * MOST_CELLS) + cells[:, 1] + MOST_CELLS


def decode_cells(codes: np.ndarray) -> np.ndarray:
    """Rows and columns ``(n, 2)`` of the integers of :func:`cell_codes`."""
    row, column = np.divmod(codes, 2 * MOST_CELLS)
    return np.column_stack([row, column]) - MOST_CELLS
