"""Strokes of pens of many colors, on glass and across tissue of two stainings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from spatialhist.pp._tissue.density import density_mask, ink_mask

HEIGHT, WIDTH, UM = 300, 420, 6.0
GLASS = (238, 232, 240)
STAININGS = {
    "blue hematoxylin": ((0.78, 0.66, 0.30), (0.12, 0.92, 0.42)),
    "red eosin": ((0.58, 0.72, 0.38), (0.07, 0.85, 0.55)),
}
"""Hematoxylin and eosin, in optical density."""
PENS = {
    "black": (25, 25, 30),
    "green": (20, 110, 60),
    "blue": (30, 60, 160),
    "dark blue": (35, 40, 110),
    "light blue": (60, 110, 200),
    "red": (190, 40, 50),
    "bright red": (220, 60, 60),
    "dark red": (150, 30, 60),
    "purple": (90, 30, 120),
    "violet": (110, 60, 160),
    "magenta": (200, 30, 120),
    "pink": (230, 80, 150),
    "orange": (240, 130, 30),
    "brown": (120, 70, 30),
    "yellow": (250, 220, 40),
}


def section(staining: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Glass with a section of nuclei in stroma in rows 60:240 and columns 40:280; pixels and where it is."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[60:240, 40:280] = True
    nuclei = ndi.gaussian_filter((rng.random((HEIGHT, WIDTH)) < 0.12).astype(float), 0.8) * 3
    stroma = 0.35 + 0.25 * np.abs(ndi.gaussian_filter(rng.normal(0, 1, (HEIGHT, WIDTH)), 1.5)) * 5
    density = np.stack([nuclei, stroma], axis=-1) @ np.array(STAININGS[staining]) * truth[..., None]
    pixels = np.array(GLASS) * np.exp(-density) + rng.normal(0, 1.5, (HEIGHT, WIDTH, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8), truth


def stroke(start: tuple[int, int], stop: tuple[int, int], width: float) -> np.ndarray:
    """A straight line from one (x, y) to another, boolean ``(y, x)``."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    along, to = np.subtract(stop, start), np.stack([x - start[0], y - start[1]], axis=-1)
    at = np.clip(to @ along / (along @ along), 0, 1)[..., None]
    return np.linalg.norm(to - at * along, axis=-1) < width / 2


def drawn(pixels: np.ndarray, where: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    ink = np.array(color) + np.random.default_rng(1).normal(0, 6, (int(where.sum()), 3))
    marked = pixels.copy()
    marked[where] = np.clip(ink, 0, 255)
    return marked


def painted(pixels: np.ndarray, where: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Ink that tissue shows through."""
    passed = drawn(np.full_like(pixels, 240), where, color)[where] / 240
    marked = pixels.astype(float)
    marked[where] *= passed
    return marked.astype(np.uint8)


@pytest.mark.parametrize("ink", [drawn, painted])
@pytest.mark.parametrize("staining", STAININGS)
@pytest.mark.parametrize("pen", PENS)
def test_a_pen_on_glass_is_no_tissue_and_on_tissue_it_is_found(staining, pen, ink):
    pixels, truth = section(staining)
    beside, across = stroke((330, 30), (400, 260), 24), stroke((10, 150), (300, 190), 20)
    marked = ink(pixels, beside | across, PENS[pen])
    tissue, found = density_mask(marked, um_per_px=UM), ink_mask(marked, um_per_px=UM)
    inner = ndi.binary_erosion(beside | across, iterations=4)
    assert tissue[beside].mean() < 0.05 and tissue[across & ~truth].mean() < 0.1
    assert found[inner & truth].mean() > 0.9 and found[inner & ~truth].mean() > 0.9
    clean = truth & ~ndi.binary_dilation(across, iterations=8)
    assert tissue[ndi.binary_erosion(clean, iterations=4)].mean() > 0.995 and found[clean].mean() < 0.005


@pytest.mark.parametrize("staining", STAININGS)
def test_a_section_without_a_pen_has_no_ink(staining):
    pixels, truth = section(staining)
    assert not ink_mask(pixels, um_per_px=UM).any()
    blurred = np.stack([ndi.gaussian_filter(pixels[..., i], 2.5) for i in range(3)], axis=-1)
    assert density_mask(blurred, um_per_px=UM)[ndi.binary_erosion(truth, iterations=4)].all()
    assert not ink_mask(blurred, um_per_px=UM).any()


def test_pens_of_several_colors_on_one_slide():
    pixels, truth = section("red eosin")
    for i, pen in enumerate(("red", "dark blue", "purple", "green")):
        pixels = drawn(pixels, stroke((320, 40 + 60 * i), (400, 70 + 60 * i), 20), PENS[pen])
    tissue = density_mask(pixels, um_per_px=UM)
    assert tissue[~ndi.binary_dilation(truth, iterations=6)].mean() < 0.002
    assert tissue[ndi.binary_erosion(truth, iterations=4)].all()


def test_more_ink_than_tissue():
    pixels, truth = section("blue hematoxylin")
    pixels[:, 140:280] = np.clip(np.array(GLASS) + np.random.default_rng(2).normal(0, 1.5, (HEIGHT, 140, 3)), 0, 255)
    truth[:, 140:] = False
    tissue = density_mask(drawn(pixels, stroke((300, 30), (320, 270), 160), PENS["red"]), um_per_px=UM)
    assert tissue[ndi.binary_erosion(truth, iterations=4)].all()
    assert tissue[~ndi.binary_dilation(truth, iterations=6)].mean() < 0.002
