"""Samples drawn from a linear model, for tests of predictors that need no slides."""

from __future__ import annotations

import numpy as np

from spatialhist.tl._data.samples import Samples


def draw_samples(
    seed: int = 0,
    *,
    sizes: tuple[int, ...] = (40, 30, 35),
    n_features: tuple[int, ...] = (5, 3),
    n_genes: int = 4,
    noise: float = 0.1,
    tile_pixels: int | None = None,
) -> Samples:
    """Slides ``S0``... of groups ``g0``..., one slide a group; targets are linear in the features, plus a slide level."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    code = np.repeat(np.arange(len(sizes)), sizes)
    blocks = tuple(rng.normal(size=(n, f)).astype(np.float32) for f in n_features)
    weights = np.random.default_rng(7).normal(size=(sum(n_features), n_genes))
    targets = np.concatenate(blocks, axis=1) @ weights + noise * rng.normal(size=(n, n_genes)) + 3.0 * code[:, None]
    tiles = None
    if tile_pixels is not None:
        tiles = rng.integers(0, 256, (n, 3, tile_pixels, tile_pixels), dtype=np.uint8)
    return Samples(
        slide=np.array([f"S{c}" for c in code]),
        group=np.array([f"g{c}" for c in code]),
        patient=np.array([f"P{c}" for c in code]),
        position=rng.normal(size=(n, 2)),
        features=tuple(2 * b + 1 for b in blocks),
        standardized=blocks,
        tiles=tiles,
        targets=targets.astype(np.float32),
    )
