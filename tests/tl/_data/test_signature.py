from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tissue_pictures import tissue_picture

from spatialhist.tl._data.signature import compare, sign


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def turned(pixels):
    return np.asarray(Image.fromarray(pixels).rotate(25, resample=Image.Resampling.BILINEAR, fillcolor=(240, 240, 240)))


def smaller(pixels):
    return np.asarray(Image.fromarray(pixels).resize((210, 150)))


COPIES = {
    "re-encoded": jpeg,
    "turned": turned,
    "quarter turn": lambda p: np.rot90(p),
    "mirrored": lambda p: p[:, ::-1],
    "one pixel off": lambda p: p[1:, 1:],
    "cropped": lambda p: p[40:260, 50:360],
    "half": lambda p: p[:, :210],
    "rescaled": smaller,
    "padded": lambda p: np.pad(p, ((0, 150), (210, 0), (0, 0)), constant_values=240),
    "recolored": lambda p: np.clip(p * [0.8, 1.1, 0.7] + [20, -10, 40], 0, 255).astype(np.uint8),
    "all at once": lambda p: jpeg(turned(p[30:, :-40, ::-1][:, ::-1])),
}


@pytest.fixture(scope="module")
def original():
    return sign(tissue_picture(0))


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_recognized_whatever_was_done_to_it(original, how):
    copy = sign(COPIES[how](tissue_picture(0)))
    assert compare(original, copy).certain and compare(copy, original).certain


def test_other_tissue_is_not(original):
    found = [compare(original, sign(tissue_picture(seed))) for seed in range(1, 6)]
    assert max(likeness.n for likeness in found) < 15 and not any(likeness.certain for likeness in found)


def test_the_signature_of_the_mirror_image_is_the_mirrored_signature(original):
    mirrored = sign(tissue_picture(0)[:, ::-1])
    assert compare(original.mirrored(), mirrored).n > 0.9 * len(original.points)


def test_what_is_printed_beside_the_tissue_is_no_likeness():
    frame = tissue_picture(9)
    pictures, inside = [], np.zeros((30, 42), dtype=bool)
    inside[8:22, 10:32] = True
    for seed in (1, 2):
        picture = frame.copy()
        picture[80:220, 100:320] = tissue_picture(seed)[80:220, 100:320]
        pictures.append(picture)
    everywhere, on_tissue = ([sign(p, mask) for p in pictures] for mask in (None, inside))
    assert compare(*everywhere).certain
    assert not compare(*on_tissue).certain


def test_glass_has_no_keypoints_and_is_like_nothing(original):
    glass = sign(np.full((90, 130, 3), 240, np.uint8))
    assert len(glass.points) == 0
    assert compare(glass, original).n == compare(original, glass).n == compare(glass, glass).n == 0


def test_a_signature_is_small(original):
    assert original.points.nbytes + original.descriptors.nbytes < 40_000
