"""The spots of a made-up run in a folder, as predictors meet them: to try a predictor without slides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from spatialhist.tl._data.samples import Inputs, Samples, write_inputs

GROUPS = ("A", "A", "B", "C")
"""Of four slides; the last is the one that is held out."""
PATIENTS = ("P1", "P1", "P2", "")
SIZES = (21, 16, 24, 19)
N_OWN, N_CONTEXT, WIDTH, N_GENES = 4, 3, 6, 7


def simulate_inputs(folder: Path, *, tile_pixels: int | None = None) -> Inputs:
    """Write the spots of four slides of three groups.

    Expression follows the features and differs between slides. As in real slides, a feature and a gene are constant, and
    a patient is not known.

    Parameters
    ----------
    folder
        Created where missing.
    tile_pixels
        Side of the tiles; None for none.
    """
    rng, n = np.random.default_rng(0), sum(SIZES)
    code = np.repeat(np.arange(len(SIZES)), SIZES)
    blocks = [rng.normal(size=(n, WIDTH)) + 0.5 * code[:, None] for _ in range(N_OWN + N_CONTEXT)]
    # a feature and a gene that never vary, as real slides hold them: dividing by their deviation fails
    for block in blocks:
        block[:, 2] = 1.0
    values = np.abs(sum(blocks) @ rng.normal(size=(WIDTH, N_GENES)) + rng.normal(size=(n, N_GENES)))
    values[:, 4] = 0.0
    return write_inputs(
        folder,
        slides=[f"S{i + 1}" for i in range(len(SIZES))],
        groups=GROUPS,
        patients=PATIENTS,
        slide_code=code,
        position=rng.normal(size=(n, 2)) * (4, 2),
        features=[[block.astype(np.float32) for block in blocks]],
        statistics=[_statistics(block, code) for block in blocks],
        values=values.astype(np.float32),
        tiles=None if tile_pixels is None else [rng.integers(0, 256, (n, 3, tile_pixels, tile_pixels), dtype=np.uint8)],
        ranking=None,
        n_own=N_OWN,
        color=1,
        # a generator of its own, so that the other arrays are the same with and without it
        depth=np.random.default_rng(1).integers(200, 5000, n).astype(np.float64),
    )


def _statistics(block: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Mean and deviation per slide ``(slides, 2, F)``."""
    slides = (block[code == i] for i in range(len(SIZES)))
    return np.stack([np.stack([rows.mean(axis=0), rows.std(axis=0)]) for rows in slides]).astype(np.float32)


def training_samples(inputs: Inputs) -> Samples:
    """Spots of all groups but the last, with their targets."""
    return inputs.samples(np.flatnonzero(_held_out(inputs) == 0), range(N_GENES), tiles=inputs.tile_gb > 0)


def held_out_samples(inputs: Inputs, *, targets: bool = False) -> Samples:
    """Spots of the last group, as cross-validation predicts them; with targets only to see whether they are read."""
    genes = range(N_GENES) if targets else None
    return inputs.samples(np.flatnonzero(_held_out(inputs)), genes, tiles=inputs.tile_gb > 0)


def as_new_slide(samples: Samples) -> Samples:
    """The same spots as those of a new slide: in memory, without a group, without color and texture."""
    return replace(
        samples,
        group=np.full(len(samples), ""),
        features=tuple(samples.features),
        standardized=tuple(samples.standardized),
        tiles=None if samples.tiles is None else samples.tiles[:],
        color=None,
    )


def _held_out(inputs: Inputs) -> np.ndarray:
    return inputs.column("group") == GROUPS[-1]
