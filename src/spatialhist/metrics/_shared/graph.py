"""Neighbor weights from a spatial graph."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def neighbor_weights(connectivities: sparse.sparray | sparse.spmatrix, n_spots: int) -> sparse.csr_array:
    """Return the graph without self-loops, every row with neighbors scaled to sum 1."""
    graph = sparse.coo_array(connectivities)
    if graph.shape != (n_spots, n_spots):
        raise ValueError(f"connectivities have shape {graph.shape}, expected ({n_spots}, {n_spots}) for these spots")
    row, column = graph.coords
    # a spot that is its own neighbor would be predicted by itself
    other = row != column
    weights = sparse.csr_array((graph.data[other].astype(float), (row[other], column[other])), shape=graph.shape)
    total = weights.sum(axis=1)
    scale = np.divide(1.0, total, out=np.zeros(n_spots), where=total > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ weights)
