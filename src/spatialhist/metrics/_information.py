"""Scores from information theory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import rel_entr, xlogy

from spatialhist.metrics._correlation import center, rank_columns
from spatialhist.metrics._shared.arrays import map_columns
from spatialhist.metrics._shared.docs import paired


@paired
def mutual_information(truth: ArrayLike, predicted: ArrayLike, *, bins: int = 8) -> NDArray[np.float64]:
    r"""Mutual information of truth and prediction of every target, in nats.

    Both are cut into bins of equally many spots (equal values share a bin); with :math:`q` the shares of spots,

    .. math:: I_g = \sum_{ab} q_{ab} \log\frac{q_{ab}}{q_a q_b} - \frac{K_{ab} - K_a - K_b + 1}{2n}

    where the second term takes away the upward bias of the first (Miller and Madow 1955), :math:`K` being
    the numbers of bins that are not empty.

    %(pair)s
    bins
        Number of bins of each of the two.

    Returns
    -------
    ndarray
        One value per target, about 0 (and possibly just below) for a prediction that says nothing, at most
        `log(bins)`; NaN where the truth is constant or the target has no values.

    %(raises)s Or if there are fewer than 2 bins.

    Examples
    --------
    >>> truth = [[0.0], [0.0], [1.0], [1.0]]
    >>> mutual_information(truth, truth, bins=2).round(4)  # log 2 + 1 / 8
    array([0.8181])
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2, found {bins}")

    def of_block(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
        joint = _joint_counts(_bin(truth, bins), _bin(predicted, bins), bins)
        rows, columns = joint.sum(axis=2), joint.sum(axis=1)
        information = _entropy(rows) + _entropy(columns) - _entropy(joint.reshape(len(joint), -1))
        information[center(truth)[2]] = np.nan
        return information

    return map_columns(of_block, truth=truth, predicted=predicted)


@paired
def jensen_shannon(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Jensen–Shannon divergence of every target's distribution over the spots, in bits.

    With truth and prediction scaled to sum 1 over the spots (:math:`t`, :math:`p`) and :math:`m = (t + p)/2`,

    .. math:: \mathrm{JS}_g = \tfrac12 \sum_i t_i \log_2\frac{t_i}{m_i} + \tfrac12 \sum_i p_i \log_2\frac{p_i}{m_i}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target from 0 (same distribution) to 1 (disjoint, or nothing predicted anywhere); NaN where
        the truth is 0 in every spot or the target has no values.

    Raises
    ------
    ValueError
        If the truth has negative values, the shapes differ, or a target has values in some spots only.

    Notes
    -----
    This is the squared distance of :func:`scipy.spatial.distance.jensenshannon` with base 2. A constant
    prediction of a widely expressed target comes close to 0: this score does not ask for any pattern. Predicted
    values below 0 count as 0.

    Examples
    --------
    >>> jensen_shannon([[1.0], [0.0]], [[0.0], [1.0]])
    array([1.])
    """
    return map_columns(_jensen_shannon, truth=truth, predicted=predicted)


def _bin(block: NDArray[np.floating], bins: int) -> NDArray[np.intp]:
    # ranks start at 1: a half less keeps the highest one out of a bin of its own, and ties stay together
    return ((rank_columns(block) - 0.5) * bins / len(block)).astype(np.intp)


def _joint_counts(a: NDArray[np.intp], b: NDArray[np.intp], bins: int) -> NDArray[np.intp]:
    n_targets = a.shape[1]
    # every gene counts in bins of its own numbers, so that one count serves all genes
    cell = (np.arange(n_targets) * bins + a) * bins + b
    return np.bincount(cell.ravel(), minlength=n_targets * bins**2).reshape(n_targets, bins, bins)


def _entropy(counts: NDArray[np.intp]) -> NDArray[np.float64]:
    n_spots = counts.sum(axis=1, keepdims=True)
    share = counts / n_spots
    # the second term corrects the bias of few spots (Miller and Madow 1955)
    return -xlogy(share, share).sum(axis=1) + ((counts > 0).sum(axis=1) - 1) / (2 * n_spots[:, 0])


def _jensen_shannon(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    if (truth < 0).any():
        raise ValueError("truth has negative values, which are no distribution over spots; use counts or log1p")
    t, truth_total = _shares(truth)
    # a regression may predict below 0, which has no share of a whole
    p, predicted_total = _shares(np.maximum(predicted, 0))
    middle = (t + p) / 2
    divergence = (rel_entr(t, middle) + rel_entr(p, middle)).sum(axis=0) / (2 * np.log(2))
    divergence[predicted_total == 0] = 1.0
    divergence[truth_total == 0] = np.nan
    return divergence


def _shares(block: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total = block.sum(axis=0, dtype=np.float64)
    return np.divide(block, total, out=np.zeros(block.shape), where=total > 0), total
