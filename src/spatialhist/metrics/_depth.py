"""Correlation of what the depth of a spot does not explain."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._correlation import ROUNDING, over_scale
from spatialhist.metrics._shared.arrays import as_floating, as_matrices, map_columns
from spatialhist.metrics._shared.docs import paired

EXPLAINED = 1e-5  # a residual of less than this share of the spread is rounding of a depth in single precision


@paired
def pearson_beyond_depth(truth: ArrayLike, predicted: ArrayLike, depth: ArrayLike) -> NDArray[np.float64]:
    r"""Pearson correlation of every target over the spots of one slide, with their depth regressed out of both sides.

    .. math:: r_g = r(M t_g, M p_g), \quad M = I - X (X^\top X)^+ X^\top, \quad X = [1, \log(1 + d), \log(1 + d)^2]

    with :math:`d` the total counts of the spots: the partial correlation (Fisher 1924) of measured and predicted values
    given depth. It is a lower bound of what is known about genes, since depth follows cellularity, which H&E shows.

    %(pair)s
    depth
        Total counts of every spot over all genes, shape (n_spots,).

    Returns
    -------
    ndarray
        One value per target: 0 where depth leaves nothing of the prediction, NaN where it leaves nothing of the truth or
        where the target has no values. Three spots or fewer leave nothing of either.

    Raises
    ------
    ValueError
        If the shapes differ, there is no spot, a target has values in some spots only, or depth is missing, infinite or
        below 0.

    Examples
    --------
    A gene that follows depth alone is predicted by depth, and beyond it by nothing.

    >>> rng = np.random.default_rng(0)
    >>> depth = rng.integers(500, 5000, 300)
    >>> gene, noise = np.log1p(depth), rng.normal(size=300)
    >>> truth, predicted = np.column_stack([gene + noise, noise]), np.column_stack([gene, noise - gene])
    >>> pearson_beyond_depth(truth, predicted, depth).round(6)
    array([0., 1.])
    """
    matrices = as_matrices(truth=truth, predicted=predicted)
    basis = _basis(_checked(depth, len(matrices["truth"])))

    def correlate(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
        return _correlation(_residual(truth, basis), _residual(predicted, basis))

    return map_columns(correlate, **matrices)


def without_depth(values: NDArray[np.floating], depth: ArrayLike) -> NDArray[np.float64]:
    """Return what depth leaves of every column; exact zeros where that is nothing."""
    return _residual(values, _basis(_checked(depth, len(values))))


def _checked(depth: ArrayLike, n_spots: int) -> NDArray[np.float64]:
    total = as_floating(depth, "depth").astype(np.float64)
    if total.shape != (n_spots,):
        raise ValueError(f"depth has shape {total.shape}, expected ({n_spots},), the total counts of these spots")
    n_bad = np.count_nonzero(~(np.isfinite(total) & (total >= 0)))
    if n_bad:
        raise ValueError(f"depth is missing, infinite or below 0 in {n_bad} of {n_spots} spots; pass total counts")
    return total


def _basis(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns that span the constant, log depth and its square; fewer where few depths differ."""
    # counts are skewed: without the logarithm a few deep spots would decide on the fit
    depth = np.log1p(total)
    depth -= depth.mean()
    spread = depth.std()
    # standardizing first keeps the square from being all but collinear with the rest
    standard = depth / spread if spread > ROUNDING * np.finfo(np.float64).eps else np.zeros_like(depth)
    columns, sizes, _ = np.linalg.svd(
        np.column_stack([np.ones_like(depth), standard, standard**2]), full_matrices=False
    )
    # columns that depend on each other leave a singular value of rounding, not of 0
    return columns[:, sizes > 1e-8 * sizes[0]]


def _residual(block: NDArray[np.floating], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the basis leaves of the columns; exact zeros where that is rounding."""
    values = block.astype(np.float64)
    residual = values - basis @ (basis.T @ values)
    # projected twice, since the first time leaves a remainder of rounding in the span
    residual -= basis @ (basis.T @ residual)
    size, spread = np.linalg.norm(values, axis=0), np.linalg.norm(values - values.mean(axis=0), axis=0)
    rounding = np.maximum(ROUNDING * np.finfo(block.dtype).eps * size, EXPLAINED * spread)
    residual[:, np.linalg.norm(residual, axis=0) <= rounding] = 0.0
    return residual


def _correlation(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    truth_size, predicted_size = np.linalg.norm(truth, axis=0), np.linalg.norm(predicted, axis=0)
    product = np.einsum("ij,ij->j", truth, predicted)
    return over_scale(product, truth_size * predicted_size, truth_size == 0, predicted_size == 0)
