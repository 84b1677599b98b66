"""How well the measurement agrees with itself: no prediction can be expected to do better."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._correlation import is_constant, pearson
from spatialhist.metrics._depth import pearson_beyond_depth
from spatialhist.metrics._shared.arrays import as_floating


def split_half(counts: ArrayLike, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split every count at random into two halves, each molecule going to either with probability 1/2.

    Parameters
    ----------
    counts
        Raw counts, shape (n_spots, n_genes).
    rng
        Source of randomness.

    Returns
    -------
    tuple[ndarray, ndarray]
        Two arrays of the same shape that sum to `counts`.

    Raises
    ------
    ValueError
        If the counts are not whole numbers from 0 up.

    Notes
    -----
    Halves of Poisson counts are independent given the expected expression.

    Examples
    --------
    >>> first, second = split_half([[4, 0], [7, 1]], np.random.default_rng(0))
    >>> first + second
    array([[4, 0],
           [7, 1]])
    """
    values = as_floating(counts, "counts")
    if not ((values >= 0) & (values < np.inf) & (values == np.floor(values))).all():
        raise ValueError("counts must be whole numbers from 0 up; pass raw counts, not a normalized layer")
    whole = values.astype(np.int64)
    first = rng.binomial(whole, 0.5)
    return first, whole - first


def reliability(correlation: ArrayLike) -> NDArray[np.float64]:
    r"""Reliability of the whole from the correlation of its two halves (Spearman 1910, Brown 1910).

    .. math:: \rho = \frac{2r}{1 + r}

    Parameters
    ----------
    correlation
        Correlations of the halves; negative ones, which are chance, count as 0.

    Returns
    -------
    ndarray
        Values from 0 to 1, NaN where the correlation is NaN.

    Examples
    --------
    >>> reliability([0.0, 0.5, 1.0, -0.1]).round(4)
    array([0.    , 0.6667, 1.    , 0.    ])
    """
    # at r = -1 the formula has no value, and below 0 it gives none that is a reliability
    r = np.maximum(np.asarray(correlation, dtype=np.float64), 0.0)
    return 2 * r / (1 + r)


def noise_ceiling(
    counts: ArrayLike,
    transform: Callable[[NDArray[np.int64]], NDArray[np.floating]],
    *,
    depth: ArrayLike | None = None,
    seed: int = 0,
    repeats: int = 5,
) -> NDArray[np.float64]:
    r"""Highest Pearson correlation that a perfect prediction can be expected to reach, for every gene of one slide.

    .. math:: c_g = \sqrt{\frac{2 r_g}{1 + r_g}}

    with :math:`r_g` the correlation, over spots, of the transformed halves of the counts, averaged over repeats.

    Parameters
    ----------
    counts
        Raw counts of one slide, shape (n_spots, n_genes).
    transform
        Makes the scored layer from counts, such as log1p of counts per 10,000. Where it divides by the depth
        of a spot, pass all genes in `counts`, or let it divide by half of the known depth.
    depth
        Total counts of every spot over all genes, for the ceiling of :func:`pearson_beyond_depth`; None for that of
        :func:`pearson`.
    seed
        Seed of the splits.
    repeats
        Number of splits to average over.

    Returns
    -------
    ndarray
        One value per gene from 0 to 1; NaN where the transformed counts are constant, or depth leaves nothing of them.

    Raises
    ------
    ValueError
        If the counts are not whole numbers from 0 up, or `repeats` is below 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> level = rng.gamma(2.0, size=(2000, 1)) * [0.5, 50.0]
    >>> noise_ceiling(rng.poisson(level), np.sqrt).round(1)
    array([0.6, 1. ])
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, found {repeats}")
    rng = np.random.default_rng(seed)
    correlate = pearson if depth is None else partial(pearson_beyond_depth, depth=depth)
    halves = (split_half(counts, rng) for _ in range(repeats))
    # averaged before `reliability` cuts at 0: cut one by one, halves that share nothing would average to more than 0;
    # a half without any molecule of a gene has no correlation, and shares nothing with the other
    correlation = sum(np.nan_to_num(correlate(transform(a), transform(b))) for a, b in halves) / repeats
    ceiling = np.sqrt(reliability(correlation))
    whole = transform(as_floating(counts, "counts").astype(np.int64))
    ceiling[is_constant(whole) | np.isnan(correlate(whole, whole))] = np.nan
    return ceiling
