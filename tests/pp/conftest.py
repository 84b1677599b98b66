"""Small cohorts with known truth: two hexagonal slides that differ in size, spot spacing and number of spots."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp


def hexagons(columns: int, rows: int, pitch: float, origin: tuple[float, float]) -> np.ndarray:
    """Lattice points as (x, y)."""
    i, j = np.meshgrid(np.arange(columns), np.arange(rows))
    x = (i + 0.5 * (j % 2)) * pitch + origin[0]
    return np.column_stack([x.ravel(), (j * pitch * np.sqrt(3) / 2).ravel() + origin[1]])


def one_slide(slide: str, xy: np.ndarray, counts: np.ndarray, *, size: tuple[int, int], **facts):
    from spatialhist._sdata.build import build_slide

    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (3, size[1], size[0]), dtype=np.uint8)
    genes = facts.pop("genes", None) or [f"G{i}" for i in range(counts.shape[1])]
    return build_slide(image, xy, sp.csr_matrix(counts, dtype=np.float32), slide=slide, genes=genes, **facts)


@pytest.fixture
def lattice():
    return hexagons


@pytest.fixture
def slide_of():
    return one_slide


@pytest.fixture
def cohort():
    """Slides S1 (30 spots, spacing 20, patient A) and S2 (24 spots, spacing 26), eight genes."""
    from spatialhist._sdata.build import concat_slides

    rng = np.random.default_rng(0)
    first = hexagons(6, 5, 20.0, (30, 25))
    second = hexagons(4, 6, 26.0, (22, 18))
    return concat_slides(
        [
            one_slide("S1", first, rng.poisson(20, (30, 8)), size=(180, 130), patient="A", mpp=2.0),
            one_slide("S2", second, rng.poisson(30, (24, 8)), size=(150, 190), patient="B", mpp=4.0),
        ]
    )
