"""Small cohorts whose pixels and counts are known, and a cheap encoder, for tests of several modules."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask

WIDTH, HEIGHT, PITCH = 260, 200, 20.0


def mean_color(tiles: torch.Tensor) -> torch.Tensor:
    """Mean and deviation of each channel: six features."""
    pixels = tiles.float().flatten(2)
    return torch.cat([pixels.mean(dim=2), pixels.std(dim=2)], dim=1)


mean_color.fingerprint = "mean_color"


def lattice() -> np.ndarray:
    """96 spots, more of them along x than along y."""
    x, y = np.meshgrid(np.arange(20, WIDTH - 10, PITCH), np.arange(20, HEIGHT - 20, PITCH))
    return np.column_stack([x.ravel(), y.ravel()])


def draw_image(rng: np.random.Generator) -> np.ndarray:
    """Smooth random colors ``(3, y, x)``."""
    coarse = rng.integers(40, 220, (3, HEIGHT // 20, WIDTH // 20))
    return np.kron(coarse, np.ones((1, 20, 20))).astype(np.uint8)


def draw_cohort(seed: int, *, n_slides: int = 4, n_genes: int = 12, signal: float = 0.0, images_seed: int = 0):
    """Build slides ``S1``... of patients ``P1``..., log-normalized; counts follow the red channel by ``signal``."""
    rng, pixels = np.random.default_rng(seed), np.random.default_rng(images_seed)
    xy, parts = lattice(), []
    gain = np.linspace(-1, 1, n_genes)
    for i in range(n_slides):
        image = draw_image(pixels)
        red = image[0][xy[:, 1].astype(int), xy[:, 0].astype(int)] / 128 - 1
        level = np.exp(1.5 + 0.2 * rng.normal(size=n_genes) + signal * np.outer(red, gain))
        counts = rng.poisson(10 * level).astype(np.float32)
        parts.append(
            build_slide(
                image,
                xy,
                csr_matrix(counts),
                slide=f"S{i + 1}",
                genes=[f"G{g}" for g in range(n_genes)],
                patient=f"P{i + 1}",
                mpp=2.0,
            )
        )
    sdata = concat_slides(parts)
    for i in range(n_slides):
        add_mask(sdata, np.ones((HEIGHT // 4, WIDTH // 4), dtype=bool), image=f"S{i + 1}_full_image")
    sh.pp.log_normalize(sdata)
    return sdata


FAST = {
    "encoder": mean_color,
    "extents": [("px", 20.0), ("px", 40.0)],
    "context": (),
    "pixels": 8,
    "tile_extent": ("px", 24.0),
    "tile_pixels": 24,
    "progress": False,
}
"""Options of cross_validate that make a run take a second."""
