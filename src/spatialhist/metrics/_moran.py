"""Spatial autocorrelation, and whether prediction and truth agree on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from spatialhist.metrics._correlation import center
from spatialhist.metrics._shared.arrays import as_matrices, map_columns
from spatialhist.metrics._shared.graph import neighbor_weights


def morans_i(values: ArrayLike, connectivities: sparse.sparray | sparse.spmatrix) -> NDArray[np.float64]:
    r"""Moran's I of every target on the spots of one slide.

    With :math:`z` the centered values and :math:`w` the graph's weights scaled to sum 1 over the neighbors of
    each spot, as squidpy does by default,

    .. math:: I_g = \frac{n}{\sum_{ij} w_{ij}} \frac{\sum_{ij} w_{ij} z_{ig} z_{jg}}{\sum_i z_{ig}^2}

    Parameters
    ----------
    values
        Array of shape (n_spots, n_targets).
    connectivities
        Sparse graph of shape (n_spots, n_spots), such as `obsp["spatial_connectivities"]`; self-loops are ignored.

    Returns
    -------
    ndarray
        One value per target; NaN where it is constant or has no values.

    Raises
    ------
    ValueError
        If the graph has another shape, or no spot has a neighbor.

    Examples
    --------
    >>> path = sparse.csr_array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> morans_i([[0.0], [1.0], [2.0]], path)
    array([0.])
    """
    n_spots = as_matrices(values=values)["values"].shape[0]
    weights = neighbor_weights(connectivities, n_spots)
    if not weights.nnz:
        raise ValueError("no spot has a neighbor; build the graph with a larger radius")

    def of_block(block: NDArray[np.floating]) -> NDArray[np.float64]:
        centered, squares, constant = center(block)
        product = np.einsum("ij,ij->j", centered, weights @ centered) * len(block) / weights.sum()
        return product / np.where(constant, np.nan, squares)

    return map_columns(of_block, values=values)


def moran_agreement(truth: ArrayLike, predicted: ArrayLike, connectivities: sparse.sparray | sparse.spmatrix) -> float:
    r"""Concordance, across targets, of Moran's I of the prediction with that of the truth.

    Lin's concordance correlation (1989) of :math:`a_g = I_g(\text{truth})` and :math:`b_g = I_g(\text{predicted})`:

    .. math:: \frac{2 s_{ab}}{s_a^2 + s_b^2 + (\bar a - \bar b)^2}

    It is 1 only if both agree target by target; predictions that are too smooth everywhere lose, also when
    their order over targets is right.

    Parameters
    ----------
    truth
        Measured values of one slide, shape (n_spots, n_targets).
    predicted
        Predicted values, same shape; a constant prediction counts as I = 0.
    connectivities
        Sparse graph of shape (n_spots, n_spots); self-loops are ignored.

    Returns
    -------
    float
        One number from -1 to 1; NaN with fewer than two targets whose truth varies.

    Examples
    --------
    >>> path = sparse.csr_array([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]])
    >>> truth = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    >>> round(moran_agreement(truth, 2 * truth + 1, path), 6), moran_agreement(truth, np.ones((4, 2)), path)
    (1.0, 0.0)
    """
    matrices = as_matrices(truth=truth, predicted=predicted)
    a, b = (morans_i(matrix, connectivities) for matrix in matrices.values())
    has_values = ~np.isnan(matrices["predicted"][0])
    # a constant prediction has no pattern, which is a value; a gene that was not predicted has none
    b[np.isnan(b) & has_values] = 0.0
    both = ~(np.isnan(a) | np.isnan(b))
    return _concordance(a[both], b[both]) if both.sum() > 1 else float("nan")


def _concordance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # the correlation alone would forgive a prediction that is too smooth everywhere
    (a_variance, covariance), (_, b_variance) = np.cov(a, b, bias=True)
    return float(2 * covariance / (a_variance + b_variance + (a.mean() - b.mean()) ** 2))
