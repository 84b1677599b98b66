from __future__ import annotations

import numpy as np

from spatialhist.pp._tissue.fold import fold_mask

TISSUE = np.array([170, 110, 175])


def picture():
    """Tissue on glass, of which a band lies twice."""
    pixels = np.full((120, 200, 3), 255.0)
    tissue = np.zeros((120, 200), bool)
    tissue[20:100, 30:180] = True
    pixels[tissue] = TISSUE
    pixels[20:100, 80:100] *= TISSUE / 255
    return pixels.astype(np.uint8), tissue


def test_two_layers_are_found():
    pixels, tissue = picture()
    found = fold_mask(pixels, tissue, ~tissue, um_per_px=10.0)
    assert found[30:90, 83:97].all() and not found[:, :78].any() and not found[:, 103:].any()


def test_twice_of_one_stain_alone_is_no_fold():
    pixels, tissue = picture()
    pixels[20:100, 80:100] = [90, 60, 175]
    assert not fold_mask(pixels, tissue, ~tissue, um_per_px=10.0).any()


def test_glare_of_the_glass_does_not_count():
    pixels, tissue = picture()
    dim = (pixels * 0.8).astype(np.uint8)
    found = fold_mask(dim, tissue, ~tissue, um_per_px=10.0)
    assert found[30:90, 83:97].all() and not found[:, :78].any()


def test_no_tissue_no_stain_and_no_glass():
    pixels, tissue = picture()
    assert fold_mask(pixels, tissue, np.zeros_like(tissue), um_per_px=10.0)[30:90, 83:97].all()
    assert not fold_mask(pixels, np.zeros_like(tissue), ~tissue, um_per_px=10.0).any()
    assert not fold_mask(np.full_like(pixels, 255), tissue, ~tissue, um_per_px=10.0).any()
