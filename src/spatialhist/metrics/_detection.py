"""How well a prediction tells spots with a target from spots without."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialhist.metrics._correlation import rank_columns
from spatialhist.metrics._shared.arrays import map_columns
from spatialhist.metrics._shared.docs import paired


@paired
def auc_detected(truth: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    r"""Area under the ROC curve for telling spots with truth > 0 from the others, for every target.

    The share of pairs in the right order, equal predictions counting half. With :math:`R` the average ranks
    of the prediction and :math:`n_1`, :math:`n_0` the spots with and without the target,

    .. math:: \mathrm{AUC}_g = \frac{\sum_{i: t_{ig} > 0} R_{ig} - n_1 (n_1 + 1) / 2}{n_1 n_0}

    %(pair)s

    Returns
    -------
    ndarray
        One value per target, 0.5 for a constant prediction; NaN where the target is detected in all spots or in
        none, or has no values.

    %(raises)s

    Examples
    --------
    >>> auc_detected([[0.0], [0.0], [1.0], [3.0]], [[0.1], [0.4], [0.3], [0.9]])
    array([0.75])
    """
    return map_columns(_auc_detected, truth=truth, predicted=predicted)


def _auc_detected(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> NDArray[np.float64]:
    detected = truth > 0
    n_detected = detected.sum(axis=0)
    n_pairs = n_detected * (len(truth) - n_detected)
    # the statistic of Mann and Whitney: ranks of the detected spots, less the lowest that so many can have
    in_order = (rank_columns(predicted) * detected).sum(axis=0) - n_detected * (n_detected + 1) / 2
    return np.divide(in_order, n_pairs, out=np.full(n_pairs.shape, np.nan), where=n_pairs > 0)
