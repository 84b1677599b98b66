"""Errors in the units of the layer, and how much of its spread is predicted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._correlation import center
from spatialhist.metrics._shared.arrays import map_columns
from spatialhist.metrics._shared.docs import paired


@paired
def rmse(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Root mean squared error of every target, in the units of the layer.

    .. math:: \mathrm{RMSE}_g = \sqrt{\frac1n \sum_i (p_{ig} - t_{ig})^2}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target; NaN where the target has no values.

    %(raises)s

    Examples
    --------
    >>> rmse([[0.0], [0.0]], [[3.0], [1.0]]).round(4)
    array([2.2361])
    """
    return map_columns(_rmse, truth=truth, predicted=predicted)


@paired
def nrmse(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Root mean squared error of every target over the range of its truth.

    .. math:: \mathrm{NRMSE}_g = \frac{\mathrm{RMSE}_g}{\max_i t_{ig} - \min_i t_{ig}}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target; NaN where the truth is constant or the target has no values.

    %(raises)s

    Examples
    --------
    >>> nrmse([[0.0], [10.0]], [[1.0], [11.0]])
    array([0.1])
    """
    return map_columns(_nrmse, truth=truth, predicted=predicted)


@paired
def r2(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Coefficient of determination of every target.

    .. math:: R^2_g = 1 - \frac{\sum_i (p_{ig} - t_{ig})^2}{\sum_i (t_{ig} - \bar t_g)^2}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target, below 0 where the mean of the scored spots themselves would do better; NaN where
        the truth is constant or the target has no values.

    %(raises)s

    Examples
    --------
    >>> r2([[0.0], [2.0]], [[1.0], [1.0]])
    array([0.])
    """
    return map_columns(_r2, truth=truth, predicted=predicted)


@paired
def variance_ratio(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Variance of the prediction over variance of the truth, for every target.

    .. math:: v_g = \frac{\sum_i (p_{ig} - \bar p_g)^2}{\sum_i (t_{ig} - \bar t_g)^2}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target: 0 for a constant prediction, below 1 where it is shrunk towards its mean; NaN where
        the truth is constant or the target has no values.

    %(raises)s

    Examples
    --------
    >>> variance_ratio([[0.0], [2.0]], [[0.0], [1.0]])
    array([0.25])
    """
    return map_columns(_variance_ratio, truth=truth, predicted=predicted)


def _rmse(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.sqrt(_squared_error(truth, predicted) / len(truth))


def _nrmse(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    # not where the range is 0: equal values that differ by rounding have one, which would be divided by
    extent = np.where(center(truth)[2], np.nan, np.ptp(truth, axis=0))
    return _rmse(truth, predicted) / extent


def _r2(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    return 1.0 - _squared_error(truth, predicted) / _squared_deviation(truth)


def _variance_ratio(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    centered, _, _ = center(predicted)
    return np.einsum("ij,ij->j", centered, centered) / _squared_deviation(truth)


def _squared_error(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    # double precision, since a sum over many spots loses digits in single precision
    error = predicted.astype(np.float64) - truth
    return np.einsum("ij,ij->j", error, error)


def _squared_deviation(truth: NDArray[np.floating]) -> NDArray[np.float64]:
    _, squares, constant = center(truth)
    return np.where(constant, np.nan, squares)
