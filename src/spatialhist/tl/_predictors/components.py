"""Leading principal components of the targets, as two thin factors. Pure arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Components:
    """Components of targets at unit variance: ``targets @ left @ right`` keeps nothing else of them.

    Ridge is linear in its targets, so projecting its coefficients equals fitting the components (reduced-rank ridge
    regression, Mukherjee and Zhu 2011, with the components of the targets in place of those of the fit).

    Attributes
    ----------
    left
        ``(genes, components)``, leading ones first.
    right
        ``(components, genes)``.
    """

    left: np.ndarray
    right: np.ndarray


def is_whole(rank: int, n_genes: int) -> bool:
    """Whether so many components are all there are; 0 stands for all."""
    return rank == 0 or rank >= n_genes


def leading_components(targets: np.ndarray, n: int, rank: int) -> Components:
    """Find the ``rank`` leading components of ``n`` centered spots, from whichever Gram matrix is the smaller.

    Parameters
    ----------
    targets
        Targets with targets ``(genes, genes)``, or, where there are fewer spots than genes, the targets ``(n, genes)``.
    """
    wide = len(targets) < targets.shape[1]
    squares = np.einsum("ij,ij->j", targets, targets) if wide else np.diag(targets)
    # rounding may leave a sum of squares just below 0
    deviation = np.sqrt(np.maximum(squares, 0) / n)
    # targets that never vary would get a share of rounding, which correlates with what it came from
    unit = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-8)
    vectors = _leading_rows(targets * unit, rank) if wide else _leading(targets * np.outer(unit, unit), rank)[1]
    return Components(vectors * unit[:, None], (vectors * deviation[:, None] * (unit > 0)[:, None]).T)


def _leading_rows(scaled: np.ndarray, rank: int) -> np.ndarray:
    """Leading right singular vectors."""
    values, vectors = _leading(scaled @ scaled.T, rank)
    # fewer spots span fewer components: what is left of the others is rounding
    varies = values > 1e-12 * max(values[0], 1e-12)
    return scaled.T @ (vectors[:, varies] / np.sqrt(values[varies]))


def _leading(gram: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    # to read a run nothing is solved
    from scipy.linalg import eigh

    values, vectors = eigh(gram, subset_by_index=(max(len(gram) - rank, 0), len(gram) - 1))
    return values[::-1], vectors[:, ::-1]
