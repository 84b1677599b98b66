"""Predictions made from the scored spots' own measurements: shown for scale, never to be beaten."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from spatialhist.metrics._shared.arrays import as_floating, as_matrices
from spatialhist.metrics._shared.graph import neighbor_weights


def depth_oracle(counts: ArrayLike | sparse.sparray | sparse.spmatrix, layer: ArrayLike) -> NDArray[np.float64]:
    r"""Predict every target from the total counts of the scored spots themselves.

    Every target rises with depth alike: :math:`\hat t_{ig} = \bar t_g + s_g (d_i - \bar d) / s_d` with
    :math:`d_i = \log(1 + \sum_h c_{ih})` and standard deviations :math:`s`. Its correlation is that of the target with
    depth, sign included: a line fitted per target would turn noise around zero into a positive score.

    Parameters
    ----------
    counts
        Raw counts of one slide over all genes, dense or sparse, shape (n_spots, n_genes).
    layer
        The scored layer of the same spots, shape (n_spots, n_targets).

    Returns
    -------
    ndarray
        Array of the shape of `layer`.

    Raises
    ------
    ValueError
        If `counts` and `layer` differ in the number of spots.

    Examples
    --------
    >>> depth_oracle([[1], [3], [7]], [[4.0], [3.0], [2.0]]).round(6).ravel()
    array([2., 3., 4.])
    """
    truth = as_matrices(layer=layer)["layer"].astype(np.float64)
    matrix: Any = counts if sparse.issparse(counts) else as_floating(counts, "counts")
    depth = np.log1p(np.asarray(matrix.sum(axis=1)).ravel())
    if depth.size != len(truth):
        raise ValueError(f"counts have {depth.size} spots and layer has {len(truth)}; pass the same spots")
    depth -= depth.mean()
    spread = depth.std()
    standard = depth / spread if spread > 0 else depth
    return truth.mean(axis=0) + np.outer(standard, truth.std(axis=0))


def neighbor_oracle(truth: ArrayLike, connectivities: sparse.sparray | sparse.spmatrix) -> NDArray[np.float64]:
    """Predict every spot by the mean of its neighbors' truth.

    Parameters
    ----------
    truth
        Measured values of one slide, shape (n_spots, n_targets).
    connectivities
        Sparse graph of shape (n_spots, n_spots); its values weight the mean, self-loops are ignored.

    Returns
    -------
    ndarray
        Array of the shape of `truth`; spots without neighbors get the mean over all spots.

    Raises
    ------
    ValueError
        If the graph has another shape.

    Examples
    --------
    >>> path = sparse.csr_array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> neighbor_oracle([[0.0], [1.0], [5.0]], path).ravel()
    array([1. , 2.5, 1. ])
    """
    values = as_matrices(truth=truth)["truth"].astype(np.float64)
    weights = neighbor_weights(connectivities, len(values))
    predicted = weights @ values
    # a spot without neighbors gets what is known without any: the mean of the slide
    predicted[weights.sum(axis=1) == 0] = values.mean(axis=0)
    return predicted
