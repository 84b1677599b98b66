from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import HEIGHT, WIDTH, draw_cohort
from spatialdata.models import Image2DModel
from spatialdata.transformations import Scale as Enlarged

from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.scale import Scale
from spatialhist.pp._tissue import find
from spatialhist.pp._tissue.find import UNKNOWN_UM, find_tissue, um_per_px


@pytest.mark.parametrize(
    ("known", "expected"),
    [(Scale(0.5, 200.0, 110.0), 2.0), (Scale(None, 200.0, 110.0), 2.0), (Scale(None, None, None), UNKNOWN_UM)],
)
def test_a_level_is_as_fine_as_the_slide_says_or_its_spots_or_a_guess(known, expected):
    assert um_per_px(known, 4.0) == expected


def test_pixels_of_a_small_image_that_stands_for_the_slide_are_as_large_as_they_are(monkeypatch):
    sdata, seen = draw_cohort(1, n_slides=1), []
    monkeypatch.setattr(find, "density_mask", lambda pixels, *, um_per_px: seen.append((pixels.shape, um_per_px)))
    find_tissue(open_cohort(sdata).slide("S1"))
    half = np.asarray(sdata.images["S1_full_image"].data)[:, ::2, ::2]
    placed = {"S1": Enlarged([2.0, 2.0], axes=("x", "y"))}
    sdata.images["S1_full_image"] = Image2DModel.parse(half, dims=("c", "y", "x"), transformations=placed)
    find_tissue(open_cohort(sdata).slide("S1"))
    assert seen == [((HEIGHT, WIDTH, 3), 2.0), ((HEIGHT // 2, WIDTH // 2, 3), 4.0)]


def test_a_function_must_cover_the_overview():
    slide = open_cohort(draw_cohort(1, n_slides=1)).slide("S1")
    assert find_tissue(slide, lambda pixels: pixels[:, :, 0] > 100).shape == (HEIGHT, WIDTH)
    with pytest.raises(ValueError, match=r"method returned shape \(3, 4\) for an image of \(200, 260\)"):
        find_tissue(slide, lambda pixels: np.ones((3, 4)))
