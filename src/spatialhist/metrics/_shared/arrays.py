"""What every score shares: the rule for missing values, and work in blocks of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

BLOCK_VALUES = 2_000_000  # 16 MB a float64 temporary, for any number of spots


def map_columns(function: Callable[..., NDArray], **arrays: ArrayLike) -> NDArray[np.float64]:
    """Apply a function to blocks of columns; columns without values give NaN.

    Parameters
    ----------
    function
        Takes one (n_spots, n_block) block per array and returns (n_block,) values.
    arrays
        Arrays of shape (n_spots, n_targets), under the names that errors call them.
    """
    matrices = as_matrices(**arrays)
    scored = np.flatnonzero(scored_columns(**matrices))
    n_spots, n_targets = next(iter(matrices.values())).shape
    result = np.full(n_targets, np.nan)
    for block in blocks(scored.size, n_spots):
        columns = as_slice(scored[block])
        result[columns] = function(*(matrix[:, columns] for matrix in matrices.values()))
    return result


def as_matrices(**arrays: ArrayLike) -> dict[str, NDArray[np.floating]]:
    """Return the arrays as floating matrices of one common shape with at least one spot."""
    matrices = {name: as_floating(array, name) for name, array in arrays.items()}
    shapes = {name: matrix.shape for name, matrix in matrices.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 for shape in shapes.values()):
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"expected arrays of one shape (n_spots, n_targets), found {found}")
    if any(shape[0] == 0 for shape in shapes.values()):
        raise ValueError("there are no spots to score; check the selection of spots")
    return matrices


def scored_columns(**matrices: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which columns have values in every matrix; columns with only some values are an error."""
    scored = [_has_values(matrix, name) for name, matrix in matrices.items()]
    return np.logical_and.reduce(scored)


def blocks(n_items: int, item_size: int) -> Iterator[slice]:
    """Yield slices over the items so that one block holds about `BLOCK_VALUES` values."""
    step = max(1, BLOCK_VALUES // max(1, item_size))
    for start in range(0, n_items, step):
        yield slice(start, min(start + step, n_items))


def _has_values(matrix: NDArray[np.floating], name: str) -> NDArray[np.bool_]:
    n_spots, n_targets = matrix.shape
    scored = np.zeros(n_targets, dtype=bool)
    n_finite = np.zeros(n_spots, dtype=int)
    # block by block: a mask of the whole matrix would take as much memory again
    for rows in blocks(n_spots, n_targets):
        scored |= ~np.isnan(matrix[rows]).all(axis=0)
        n_finite[rows] = np.isfinite(matrix[rows]).sum(axis=1)
    n_partial = np.count_nonzero(n_finite < scored.sum())
    if n_partial:
        raise ValueError(
            f"{name} has missing or infinite values in {n_partial} of {n_spots} spots; "
            "drop these spots, or set a target to NaN in every spot to leave it out"
        )
    return scored


def as_floating(array: Any, name: str) -> NDArray[np.floating]:
    """Return numbers of any kind as a floating array: sparse, masked and nullable ones too, gaps as NaN."""
    if sparse.issparse(array):
        array = array.toarray()
    elif isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(np.float64), np.nan)
    elif hasattr(array, "to_numpy"):
        array = _of_pandas(array)
    matrix = np.asarray(array)
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {matrix.dtype}, not numbers")
    # single precision stays, since a copy in double would be twice as large; sums are taken in double, block by block
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)


def _of_pandas(array: Any) -> NDArray[Any]:
    """Values of a data frame or series; as objects where they are no numbers."""
    plain = array.to_numpy()
    if plain.dtype != object:
        return plain
    try:
        return array.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return plain


def as_slice(positions: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Ascending positions as a slice where none is left out: a view, where picking one by one copies, much slower."""
    contiguous = positions[-1] - positions[0] + 1 == positions.size
    return slice(positions[0], positions[-1] + 1) if contiguous else positions
