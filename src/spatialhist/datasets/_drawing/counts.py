"""Counts, drawn from the RNA of the cells that lie below what counts them."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from spatialhist.datasets._drawing.cells import CELL_TYPES, Cells
from spatialhist.datasets._drawing.fields import sample, smooth_noise
from spatialhist.datasets._drawing.genes import RNA_CONTENT

TYPICAL = np.array([9.0, 1.0, 2.5, 5.0, 0.1, 0.1])
"""Cells of each type under a spot of 55 micrometers, as on an average slide."""

SPOT_DIAMETER = 55.0
"""Micrometers; of the spot that `TYPICAL` describes."""
SPOT_AREA = np.pi * SPOT_DIAMETER**2 / 4

AMBIENT = 0.03  # RNA that has diffused onto a spot, as part of a typical spot's
DISPERSION = 4.0  # variance = mean + mean**2 / DISPERSION
DEPTH_SPREAD = 0.3  # of the log of a spot's capture efficiency
CORRELATED = 30.0  # micrometers over which bins and cells share what is too high or too low in a spot


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


def draw_counts_in_field(
    rna: np.ndarray, xy: np.ndarray, share: np.ndarray, depth: float, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Counts `(n, genes)` of bins or cells that lie closer to each other than the noise of capture reaches.

    Capture efficiency and each gene's own deviation are fields over the slide, a spot wide and as strong as those of
    spots. Within a spot what is left is the noise of counting, and sums over it vary as the counts of a spot do.

    Parameters
    ----------
    rna
        RNA of each cell type in each, relative to a fibroblast's, `(n, cell types)`.
    xy
        Where they lie in micrometers, `(n, 2)`.
    share, depth, rng
        As in :func:`draw_counts`.
    """
    captured = rna * (depth / (TYPICAL * RNA_CONTENT).sum()) * np.exp(DEPTH_SPREAD * _field_at(xy, rng))[:, None]
    spread = np.sqrt(np.log1p(1 / DISPERSION))  # of the log of a factor with mean 1 and the variance of a spot's
    columns = [
        sparse.csc_matrix(rng.poisson((captured @ one) * np.exp(spread * _field_at(xy, rng) - spread**2 / 2))[:, None])
        for one in share
    ]
    return sparse.hstack(columns, format="csr", dtype=np.float32)


def _field_at(xy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field with standard deviation 1 at points, correlated over a spot."""
    step = CORRELATED / 2
    columns, rows = np.ceil(xy.max(axis=0) / step).astype(int) + 1
    return sample(smooth_noise((rows, columns), CORRELATED / step, rng), xy, step)


def vary_share(share: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply each gene by a log-normal factor, the same in every cell type, as a batch effect does."""
    return share * np.exp(spread * rng.standard_normal((len(share), 1)))
