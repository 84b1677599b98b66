from __future__ import annotations

import numpy as np

from spatialhist.pp._registration.stain_amount import hematoxylin_amount, stain_amount

GLASS, PINK, NUCLEUS = (225, 215, 228), (215, 130, 190), (90, 70, 150)


def picture():
    pixels = np.full((40, 60, 3), GLASS, np.uint8)
    pixels[5:35, 10:50] = PINK
    mask = np.zeros((40, 60), bool)
    mask[5:35, 10:50] = True
    return pixels, mask


def test_stain_is_measured_from_the_glass_to_the_median_of_tissue():
    pixels, mask = picture()
    pixels[5:20, 10:30] = GLASS
    amount = stain_amount(pixels, mask)
    assert amount.shape == mask.shape and amount[~mask].max() == 0
    np.testing.assert_allclose(amount[5:20, 10:30], 0)
    np.testing.assert_allclose(amount[20:35, 10:50], 1)


def test_no_tissue_no_stain():
    pixels, mask = picture()
    assert stain_amount(pixels, np.zeros_like(mask)).sum() == 0
    assert hematoxylin_amount(pixels, np.zeros_like(mask)).sum() == 0


def test_nuclei_stand_out_of_eosin():
    pixels, mask = picture()
    pixels[10:14, 20:24] = NUCLEUS
    pixels[0:3, 0:3] = NUCLEUS
    amount = hematoxylin_amount(pixels, mask)
    assert amount.dtype == np.float32 and amount[~mask].max() == 0
    assert amount[10:14, 20:24].min() > 4 * amount[25:30, 20:40].max()


def test_tinted_light_adds_no_hematoxylin():
    pixels, mask = picture()
    pixels[10:14, 20:24] = NUCLEUS
    yellow = (pixels * [0.95, 0.9, 0.7]).astype(np.uint8)
    expected = hematoxylin_amount(pixels, mask)
    np.testing.assert_allclose(hematoxylin_amount(yellow, mask), expected, atol=0.05 * expected.max())
