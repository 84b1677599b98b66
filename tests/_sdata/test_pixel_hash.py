from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from small_cohorts import draw_cohort

from spatialhist._sdata.build import build_slide
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.pixel_hash import hash_pixels


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (3, 700, 900), dtype=np.uint8)


def test_slides_differ_and_a_slide_without_image_has_no_hash():
    cohort = open_cohort(draw_cohort(3, n_slides=2, n_genes=6))
    assert len({slide.pixel_hash for slide in cohort.every_slide()}) == 2
    assert cohort.slide("S9").pixel_hash == ""


def test_another_pyramid_and_other_chunks_are_the_same_slide(image):
    xy, counts = np.array([[100.0, 90.0], [300.0, 200.0]]), np.ones((2, 3))
    sdata = build_slide(image, xy, counts, slide="S1", genes=list("ABC"))
    before, levels = open_cohort(sdata).slide("S1").pixel_hash, len(sdata.images["S1_full_image"].children)
    assert levels > 1
    del sdata.images["S1_full_image"][f"scale{levels - 1}"]
    assert open_cohort(sdata).slide("S1").pixel_hash == before
    assert hash_pixels(da.from_array(image, chunks=(3, 100, 130))) == before


def test_the_same_pixels_in_another_shape_are_another_slide(image):
    assert hash_pixels(image) != hash_pixels(image.transpose(0, 2, 1))
    assert hash_pixels(image) != hash_pixels(image[:, :-1])


def test_blank_slides_with_a_little_tissue_are_told_apart():
    blank = np.full((3, 3000, 2500), 255, dtype=np.uint8)
    biopsy = blank.copy()
    biopsy[:, 2900, 2400] = 7
    assert hash_pixels(biopsy) != hash_pixels(blank)
    assert hash_pixels(blank) == hash_pixels(da.from_array(blank, chunks=(3, 512, 512)))


def test_a_large_slide_is_not_read_as_a_whole(image):
    read = []

    class Lazy:
        shape, dtype = (3, 40_000, 50_000), np.dtype(np.uint8)

        def __getitem__(self, key):
            y, x = (range(size)[part] for size, part in zip(self.shape[1:], key[1:], strict=True))
            read.append(len(y) * len(x))
            return image[:, : len(y), : len(x)]

    assert len(hash_pixels(Lazy())) == 32
    assert sum(read) == 64 * 32 * 32
