"""One synthetic slide as arrays: pixels, what was counted where, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from spatialhist.datasets._drawing.scene import Scene


@dataclass(frozen=True)
class Slide:
    """Spots, bins or cells of one slide; positions (x, y) in pixels.

    Attributes
    ----------
    xy, true_xy
        Where they are said to lie, and where they lie.
    composition
        Nuclei of each type in each, ``(n, cell types)``.
    counts
        ``(n, genes)``.
    """

    scene: Scene
    xy: np.ndarray
    true_xy: np.ndarray
    composition: np.ndarray
    counts: sparse.csr_matrix

    @property
    def image(self) -> np.ndarray:
        """Pixels ``(3, height, width)``."""
        return self.scene.image

    @property
    def offset_px(self) -> np.ndarray:
        """Reported minus true positions, before the turn."""
        return self.scene.placement.offset / self.scene.design.mpp

    @property
    def rotation_deg(self) -> float:
        """By how much positions are turned, counted from x to y."""
        return float(np.rad2deg(self.scene.placement.rotation))
