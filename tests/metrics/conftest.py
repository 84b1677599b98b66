from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Skewed truth with many zeros (and ties) and a prediction of it, 60 spots x 7 targets."""
    rng = np.random.default_rng(1)
    truth = np.log1p(rng.poisson(rng.gamma(1.0, size=(60, 7))))
    return truth, 0.4 * truth + 0.3 + 0.5 * rng.standard_normal(truth.shape)


@pytest.fixture
def grid() -> tuple[np.ndarray, sparse.csr_array]:
    """Centers (x, y) of a lattice 9 wide and 6 high, and its graph of nearest neighbors."""
    y, x = np.mgrid[:6, :9]
    xy = np.column_stack([x.ravel(), y.ravel()]).astype(float)
    distance = np.abs(xy[:, None] - xy[None]).sum(axis=2)
    return xy, sparse.csr_array((distance == 1).astype(float))
