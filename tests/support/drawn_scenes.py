"""Simulated slides before anything is counted on them, more high than wide, and the expression of their patient."""

from __future__ import annotations

import numpy as np

from spatialhist.datasets._drawing.counts import vary_share
from spatialhist.datasets._drawing.genes import draw_signatures
from spatialhist.datasets._drawing.scene import Design, Scene, draw_patient, draw_scene

DESIGN = Design((300, 420), 3.0, 100.0, 55.0, 2000.0, 1.0, 1.0, 0.0)
N_GENES = 12


def draw(
    design: Design = DESIGN, *, misplaced: bool = False, seed: int = 0
) -> tuple[Scene, np.ndarray, np.random.Generator]:
    """Return the slide, shares of RNA (genes x cell types), and where the randomness of counts comes from."""
    patient = draw_patient(draw_signatures(N_GENES, np.random.default_rng(9)).share, np.random.default_rng(8))
    counting = np.random.default_rng([seed, 1])
    scene = draw_scene(design, patient, misplaced=misplaced, rng=np.random.default_rng([seed, 0]))
    return scene, vary_share(patient.share, 0.1, counting), counting
