from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from spatialhist.pp._tissue.density import density_mask

GLASS, TISSUE = (225, 215, 228), (165, 115, 170)
HEIGHT, WIDTH = 260, 380


def slide(shape=(HEIGHT, WIDTH), glass=GLASS, seed=0):
    """Noisy glass with a textured stained block in rows 80:200, columns 60:220."""
    rng = np.random.default_rng(seed)
    image = np.empty((*shape, 3))
    image[:] = glass
    image += rng.normal(0, 1, image.shape)
    truth = np.zeros(shape, bool)
    truth[80:200, 60:220] = True
    image[truth] = np.array(TISSUE) + 25 * rng.normal(0, 1, (truth.sum(), 1))
    return np.clip(image, 0, 255).astype(np.uint8), truth


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("glass", [(255, 255, 255), GLASS, (190, 190, 186)])
def test_finds_the_block_on_any_glass(glass):
    pixels, truth = slide(glass=glass)
    assert overlap(density_mask(pixels, um_per_px=6.0), truth) > 0.93


@pytest.mark.parametrize("light", [(0.95, 0.9, 0.7), (0.8, 0.74, 0.55), (0.8, 0.9, 1)])
def test_tinted_light_changes_nothing(light):
    pixels, truth = slide()
    assert overlap(density_mask((pixels * np.array(light)).astype(np.uint8), um_per_px=6.0), truth) > 0.93


def test_pale_fat_is_tissue():
    pixels, truth = slide()
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    fat = truth & (xx > 130)
    membrane = (yy % 14 < 2) | (xx % 14 < 2)
    pixels[fat & ~membrane] = np.array(GLASS)
    pixels[fat & membrane] = (195, 165, 195)
    mask = density_mask(pixels, um_per_px=6.0)
    assert mask[fat].mean() > 0.95


def smear(pixels):
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    strength = np.exp(-((yy - 140) ** 2 + (xx - 290) ** 2) / 2 / 30**2)[..., None]
    return np.clip(pixels - strength * [5, 45, 10], 0, 255).astype(np.uint8)


def shadow(pixels):
    dark = pixels.copy()
    dark[:, 330:] = (dark[:, 330:] * 0.6).astype(np.uint8)
    return dark


def green_pen(pixels):
    inked = pixels.copy()
    inked[20:60, 250:360] = (30, 120, 90)
    return inked


def black_pen(pixels):
    inked = pixels.copy()
    inked[20:60, 250:360] = (25, 25, 28)
    return inked


def dust(pixels):
    dusty = pixels.copy()
    rng = np.random.default_rng(3)
    for y, x in rng.integers((10, 240), (250, 370), (60, 2)):
        dusty[y : y + 3, x : x + 3] = 90
    return dusty


def slide_edge(pixels):
    edged = pixels.copy()
    edged[235:239] = 255
    edged[239:] = (62, 60, 64)
    edged[:, :3] = (90, 92, 96)
    return edged


@pytest.mark.parametrize("spoil", [smear, shadow, slide_edge, green_pen, black_pen, dust])
def test_what_is_not_tissue(spoil):
    pixels, truth = slide()
    mask = density_mask(spoil(pixels), um_per_px=6.0)
    assert mask[ndi.binary_erosion(truth, iterations=4)].all()
    assert mask[~ndi.binary_dilation(truth, iterations=6)].mean() < 0.002


def test_ink_on_tissue_is_left_out():
    pixels, truth = slide()
    pixels[80:200, 120:160] = (20, 90, 80)
    mask = density_mask(pixels, um_per_px=6.0)
    assert not mask[90:190, 125:155].any()
    assert mask[90:190, 70:110].all()


def test_unscanned_white_is_not_the_glass():
    pixels, truth = slide()
    pixels[:, 300:] = 255
    mask = density_mask(pixels, um_per_px=6.0)
    assert overlap(mask, truth) > 0.93


def test_small_holes_are_filled_and_large_ones_stay():
    pixels, _ = slide()
    pixels[95:105, 80:90] = GLASS
    pixels[85:195, 110:210] = GLASS
    mask = density_mask(pixels, um_per_px=6.0)
    assert mask[95:105, 80:90].all()
    assert not mask[110:170, 140:180].any()


def test_glass_alone_gives_nothing():
    rng = np.random.default_rng(0)
    pixels = np.clip(np.array(GLASS) + rng.normal(0, 1.5, (120, 170, 3)), 0, 255).astype(np.uint8)
    assert not density_mask(pixels).any()
    assert not density_mask(np.full((120, 170, 3), 255, np.uint8)).any()
    assert not density_mask(np.zeros((120, 170, 3), np.uint8)).any()


def test_tissue_alone_gives_everything():
    pixels = slide()[0][85:195, 65:215]
    assert density_mask(pixels, um_per_px=6.0).all()


def test_tiny_image():
    assert density_mask(np.full((3, 5, 3), 200, np.uint8)).shape == (3, 5)


@pytest.mark.real_data
def test_pen_on_a_real_slide_is_not_tissue(data_root):
    from PIL import Image

    pixels = np.asarray(Image.open(data_root / "wsi" / "tcga-green-pen.png").convert("RGB"))
    red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
    pen, stained = (green > red + 25) & (green >= blue), (red > green + 25) & (blue > green + 10)
    found = density_mask(pixels)
    assert found[pen].mean() < 0.05 and found[stained].mean() > 0.99
