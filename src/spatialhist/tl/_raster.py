"""Values at points, as pixels."""

from __future__ import annotations

import numpy as np


def rasterize(points: np.ndarray, values: np.ndarray, radius: float, step: float, shape: tuple[int, int]) -> np.ndarray:
    """Average, for every pixel, the points whose disc covers its center.

    Parameters
    ----------
    points
        ``(n, 2)`` as (x, y).
    values
        ``(n, genes)``; NaN where not known.
    radius
        Of the discs, in the units of ``points``.
    step
        Side of a pixel in the same units; pixel ``j`` covers ``[j * step, (j + 1) * step)``.
    shape
        Rows and columns.

    Returns
    -------
    ``(genes, y, x)`` float32; NaN where no disc reaches.
    """
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    y, x = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    near = cKDTree(points).query_ball_point((np.column_stack([x, y]) + 0.5) * step, radius)
    ends = np.cumsum([0, *map(len, near)])
    covers = csr_matrix((np.ones(ends[-1]), np.concatenate(near).astype(int), ends), shape=(len(near), len(points)))
    known = np.isfinite(values)
    total, count = covers @ np.where(known, values, 0.0), covers @ known.astype(float)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean.T.reshape(-1, *shape).astype(np.float32)
