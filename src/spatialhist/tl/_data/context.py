"""What surrounds a point: features of the slide's tissue, averaged around the point within several radii."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AT_ONCE = 256
"""Points whose distances to the grid are in memory at once."""


@dataclass(frozen=True)
class Context:
    """Features on a grid of a slide's tissue, which does not depend on where spots lie.

    Attributes
    ----------
    points
        ``(m, 2)`` in full-resolution pixels, on tissue only: glass beyond its border does not count.
    features
        ``(m, F)`` per field of view that is averaged.
    radii
        Standard deviations of the Gaussian weights, in pixels; none for no averages.
    """

    points: np.ndarray
    features: list[np.ndarray]
    radii: tuple[float, ...]

    def around(self, points: np.ndarray) -> list[np.ndarray]:
        """Average around points ``(n, 2)``: one array ``(n, F)`` per radius and field of view, radii slowest."""
        from scipy.spatial.distance import cdist

        blocks = [np.empty((len(points), f.shape[1]), np.float32) for _ in self.radii for f in self.features]
        for start in range(0, len(points) if blocks else 0, AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            squared = cdist(points[rows], self.points, "sqeuclidean")
            # far from tissue all weights would vanish: the nearest of it counts
            squared -= squared.min(axis=1, keepdims=True)
            for i, radius in enumerate(self.radii):
                weights = np.exp(-squared / (2 * radius**2))
                weights /= weights.sum(axis=1, keepdims=True)
                for j, features in enumerate(self.features):
                    blocks[i * len(self.features) + j][rows] = weights @ features
        return blocks
