"""Counts in spots that lie apart from each other, as of Visium."""

from __future__ import annotations

import numpy as np

from spatialhist.datasets._drawing.counts import SPOT_DIAMETER, TYPICAL, composition, draw_counts
from spatialhist.datasets._drawing.scene import Scene
from spatialhist.datasets._drawing.slide import Slide


def draw_spots(scene: Scene, share: np.ndarray, rng: np.random.Generator) -> Slide:
    """Count the RNA of the cells under each spot; a wide spot catches as much as one that is as wide as a typical one."""
    design, xy = scene.design, scene.spots
    true_xy = scene.placement.true(xy)
    under = composition(scene.cells, true_xy, design.diameter / 2)
    typical_spot = under * (SPOT_DIAMETER / design.diameter) ** 2
    seen = design.signal * typical_spot + (1 - design.signal) * TYPICAL
    counts = draw_counts(seen, share, design.depth, rng)
    return Slide(scene, xy / design.mpp, true_xy / design.mpp, under, counts)
