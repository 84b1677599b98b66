"""Counts of a slide's spots, drawn from the cells that lie under them."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.cells import CELL_TYPES, Cells
from spatialhist.datasets._drawing.genes import RNA_CONTENT

TYPICAL = np.array([9.0, 1.0, 2.5, 5.0, 0.1, 0.1])
"""Cells of each type under a spot of 55 micrometers, as on an average slide."""

AMBIENT = 0.03  # RNA that has diffused onto a spot, as part of a typical spot's
DISPERSION = 4.0  # variance = mean + mean**2 / DISPERSION
DEPTH_SPREAD = 0.3  # of the log of a spot's capture efficiency


def composition(cells: Cells, xy: np.ndarray, radius: float) -> np.ndarray:
    """Number of nuclei of each type within `radius` of each point, `(points, cell types)`."""
    under = cKDTree(cells.xy).query_ball_point(xy, radius)
    spot = np.repeat(np.arange(len(xy)), [len(u) for u in under])
    kind = cells.kind[np.concatenate([np.asarray(u, dtype=np.intp) for u in under])]
    flat = spot * len(CELL_TYPES) + kind
    return np.bincount(flat, minlength=len(xy) * len(CELL_TYPES)).reshape(len(xy), -1)


def draw_counts(cells: np.ndarray, share: np.ndarray, depth: float, rng: np.random.Generator) -> sparse.csr_matrix:
    """Negative binomial counts `(spots, genes)` of spots with known cells.

    Parameters
    ----------
    cells
        Cells of each type under each spot, `(spots, cell types)`.
    share
        Part of the RNA of each type that is a gene, `(genes, cell types)`.
    depth
        Expected counts of a spot with `TYPICAL` cells.
    rng
        Where the randomness comes from.
    """
    typical = TYPICAL * RNA_CONTENT
    rna = cells * RNA_CONTENT + AMBIENT * typical
    efficiency = np.exp(DEPTH_SPREAD * rng.standard_normal((len(cells), 1)))
    mean = depth * efficiency * (rna @ share.T) / typical.sum()
    rate = rng.gamma(DISPERSION, mean / DISPERSION)
    return sparse.csr_matrix(rng.poisson(rate).astype(np.float32))


def vary_share(share: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply each gene by a log-normal factor, the same in every cell type, as a batch effect does."""
    return share * np.exp(spread * rng.standard_normal((len(share), 1)))
