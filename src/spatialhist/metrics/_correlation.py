"""Correlations between truth and prediction."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._shared.arrays import as_matrices, blocks, map_columns, scored_columns
from spatialhist.metrics._shared.docs import paired

ROUNDING = 10  # a spread within this many machine epsilons of the value is no signal


@paired
def pearson(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Pearson correlation of every target over the spots given, those of one slide for the headline score.

    .. math:: r_g = \frac{\sum_i (t_{ig} - \bar t_g)(p_{ig} - \bar p_g)}
                    {\sqrt{\sum_i (t_{ig} - \bar t_g)^2}\sqrt{\sum_i (p_{ig} - \bar p_g)^2}}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target: 0 where the prediction is constant, NaN where the truth is constant or where
        the target has no values.

    %(raises)s

    Examples
    --------
    >>> pearson([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]], [[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]]).round(6)
    array([1., 0.])
    """
    return map_columns(_pearson, truth=truth, predicted=predicted)


@paired
def spearman(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Spearman correlation of every target: Pearson of the average ranks over the spots given.

    .. math:: \rho_g = r\left(\operatorname{rank}_i t_{ig}, \operatorname{rank}_i p_{ig}\right)

    %(pair)s

    Returns
    -------
    ndarray
        One value per target: 0 where the prediction is constant, NaN where the truth is constant or where
        the target has no values.

    %(raises)s

    Examples
    --------
    >>> spearman([[0.0], [1.0], [2.0]], [[0.0], [1.0], [100.0]]).round(6)
    array([1.])
    """
    return map_columns(_spearman, truth=truth, predicted=predicted)


@paired
def spot_spearman(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Spearman correlation of every spot, over its targets.

    .. math:: \rho_i = r\left(\operatorname{rank}_g t_{ig}, \operatorname{rank}_g p_{ig}\right)

    A profile that is the same in every spot already scores high here, because targets differ in level:
    read this score beside the training mean profile.

    %(pair)s

    Returns
    -------
    ndarray
        One value per spot: 0 where the predicted profile is constant, NaN where the measured one is.

    %(raises)s

    Examples
    --------
    >>> spot_spearman([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [[1.0, 2.0, 9.0], [3.0, 2.0, 1.0]]).round(6)
    array([ 1., -1.])
    """
    matrices = as_matrices(truth=truth, predicted=predicted)
    scored = scored_columns(**matrices)
    n_spots = matrices["truth"].shape[0]
    result = np.full(n_spots, np.nan)
    if scored.any():
        for rows in blocks(n_spots, scored.size):
            # spots of a block as columns, so that one pass over them ranks their targets
            result[rows] = _spearman(*(matrix[rows][:, scored].T for matrix in matrices.values()))
    return result


@paired
def pooled_pearson(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Pearson correlation of every target over the spots of all slides together.

    Pooling rewards whoever knows the level of each slide, even with one constant value per slide:
    it is reported under its own name and is never the headline.

    %(pair)s

    Returns
    -------
    ndarray
        One value per target, by the rules of :func:`pearson`.

    %(raises)s

    Examples
    --------
    Two slides of two spots; the prediction is the mean of each slide, and within a slide it says nothing.

    >>> truth = [[0.0], [2.0], [10.0], [12.0]]
    >>> slide_mean = [[1.0], [1.0], [11.0], [11.0]]
    >>> pooled_pearson(truth, slide_mean).round(2), pearson(truth[:2], slide_mean[:2])
    (array([0.98]), array([0.]))
    """
    return pearson(truth, predicted)


def is_constant(values: ArrayLike) -> NDArray[np.bool_]:
    """Return which columns hold one value up to rounding of their floating type.

    Parameters
    ----------
    values
        Array of shape (n_spots, n_targets); pass its transpose to test spots.

    Examples
    --------
    >>> is_constant([[1.0, 1.0], [1.0, 2.0]])
    array([ True, False])
    """
    return map_columns(lambda block: center(block)[2], values=values) == 1


def center(block: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return the centered columns, their sums of squares, and which are constant (centered to exact zeros)."""
    # subtracting the first row first leaves equal values at exactly zero, which the mean alone does not
    centered = block.astype(np.float64) - block[0].astype(np.float64)
    centered -= centered.mean(axis=0)
    squares = np.einsum("ij,ij->j", centered, centered)
    rounding = ROUNDING * np.finfo(block.dtype).eps * block[0].astype(np.float64)
    constant = squares <= len(block) * rounding**2
    centered[:, constant] = 0.0
    return centered, squares, constant


def rank_columns(block: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the average ranks 1..n_spots within every column."""
    # scipy.stats takes longer to import than all of the package
    from scipy.stats import rankdata

    return rankdata(np.ascontiguousarray(block.T), axis=1).T  # sorting contiguous columns is faster


def _pearson(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    truth, truth_squares, truth_constant = center(truth)
    predicted, predicted_squares, predicted_constant = center(predicted)
    product = np.einsum("ij,ij->j", truth, predicted)
    # roots before the product: the product of two large sums of squares may exceed what a float holds
    scale = np.sqrt(truth_squares) * np.sqrt(predicted_squares)
    return over_scale(product, scale, truth_constant, predicted_constant)


def over_scale(product: NDArray, scale: NDArray, truth_constant: NDArray, predicted_constant: NDArray) -> NDArray:
    """Return correlations from sums of products: NaN where the truth is constant, 0 where the prediction alone is."""
    result = np.divide(product, scale, out=np.zeros_like(product), where=~(truth_constant | predicted_constant))
    result[truth_constant] = np.nan
    # rounding takes the correlation of equal columns just beyond 1
    return np.clip(result, -1.0, 1.0)


def _spearman(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    return _pearson(rank_columns(truth), rank_columns(predicted))
