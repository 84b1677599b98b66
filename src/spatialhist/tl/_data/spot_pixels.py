"""Spots as the pixels of a map that they cover, whose features are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class SpotPixels:
    """Pixels of the map that :func:`spatialhist.tl.predict_map` would make, in discs around spots.

    Attributes
    ----------
    points
        Centers of the pixels ``(m, 2)``, each once, in the units of the spots.
    share
        ``(spots, m)``: of each pixel in the average of a spot; rows sum to 1.
    """

    points: np.ndarray
    share: csr_matrix

    @classmethod
    def under(cls, spots: np.ndarray, step: float, radius: float) -> SpotPixels:
        """Find the pixels whose centers lie within discs; where none does, the pixel that holds the spot.

        Parameters
        ----------
        spots
            Centers ``(n, 2)``, (x, y).
        step
            Side of a pixel; pixel ``j`` covers ``[j * step, (j + 1) * step)``.
        radius
            Of the discs.
        """
        from scipy.sparse import csr_matrix

        own, reach = np.floor(spots / step).astype(int), int(np.ceil(radius / step)) + 1
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        around = own[:, None] + np.column_stack([x.ravel(), y.ravel()])
        distance = (((around + 0.5) * step - spots[:, None]) ** 2).sum(axis=2)
        inside = distance <= radius**2
        # the middle one of the square around a spot is the pixel that holds it
        inside[~inside.any(axis=1), inside.shape[1] // 2] = True
        pixels, number = np.unique(around[inside], axis=0, return_inverse=True)
        n = inside.sum(axis=1)
        share = csr_matrix((np.repeat(1 / n, n), number.ravel(), np.cumsum([0, *n])), shape=(len(spots), len(pixels)))
        return cls((pixels + 0.5) * step, share)

    def average(self, values: np.ndarray) -> np.ndarray:
        """Average ``(m, F)`` of the pixels over spots, ``(spots, F)``."""
        return np.asarray(self.share @ values.astype(np.float64), dtype=np.float32)
