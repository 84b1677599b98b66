from __future__ import annotations

from dataclasses import replace

import drawn_scenes
import numpy as np
import pytest
from drawn_scenes import DESIGN

from spatialhist.datasets._drawing.slide import Slide
from spatialhist.datasets._drawing.spots import draw_spots


def draw(design=DESIGN, **options) -> Slide:
    return draw_spots(*drawn_scenes.draw(design, **options))


def test_arrays_agree() -> None:
    slide = draw()
    n = len(slide.xy)
    assert slide.image.shape == (3, 420, 300)
    assert n > 30
    assert slide.true_xy.shape == (n, 2) and slide.composition.shape == (n, 6) and slide.counts.shape == (n, 12)
    assert (slide.xy > 0).all() and (slide.xy < (300, 420)).all()


def test_spots_in_place_have_no_offset() -> None:
    slide = draw()
    np.testing.assert_allclose(slide.xy, slide.true_xy, rtol=1e-12)
    assert slide.offset_px.tolist() == [0, 0] and slide.rotation_deg == 0


def test_misplaced_spots_are_off_by_up_to_a_pitch() -> None:
    slide = draw(misplaced=True)
    np.testing.assert_allclose(slide.xy - slide.true_xy, np.tile(slide.offset_px, (len(slide.xy), 1)))
    assert 0.4 * 100 / 3 <= np.linalg.norm(slide.offset_px) <= 100 / 3


def test_rotation_is_counted_from_x_to_y_around_the_center() -> None:
    slide = draw(replace(DESIGN, max_offset=0.0, max_rotation=8.0), misplaced=True, seed=1)
    angle = np.deg2rad(slide.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    center = np.array([150.0, 210.0])
    assert 0 < abs(slide.rotation_deg) <= 8
    np.testing.assert_allclose(slide.xy, (slide.true_xy - center) @ turn.T + center)


def test_composition_is_that_of_the_true_place() -> None:
    """Spots that were said to lie elsewhere still hold the counts of where they lie: dark pixels, many nuclei."""
    slide = draw(misplaced=True, seed=3)
    darkness = 255.0 - slide.image[0]
    true, reported = (np.corrcoef(nearby(darkness, xy), slide.composition.sum(axis=1))[0, 1] for xy in both(slide))
    assert true > 0.9
    assert reported < true - 0.1


def both(slide: Slide) -> tuple[np.ndarray, np.ndarray]:
    return slide.true_xy, slide.xy


def nearby(picture: np.ndarray, xy: np.ndarray) -> np.ndarray:
    windows = [np.s_[max(int(y) - 8, 0) : int(y) + 9, max(int(x) - 8, 0) : int(x) + 9] for x, y in xy]
    return np.array([picture[w].mean() for w in windows])


def test_the_same_extent_at_another_resolution_is_the_same_tissue() -> None:
    coarse, fine = draw(), draw(replace(DESIGN, size_px=(600, 840), mpp=1.5))
    np.testing.assert_array_equal(coarse.composition, fine.composition)
    np.testing.assert_allclose(2 * coarse.xy, fine.xy)
    shrunk = fine.image.reshape(3, 420, 2, 300, 2).mean(axis=(2, 4))
    assert np.corrcoef(shrunk[0].ravel(), coarse.image[0].ravel())[0, 1] > 0.8


def test_the_picture_does_not_depend_on_the_counts_options() -> None:
    noise = draw(replace(DESIGN, signal=0.0, depth=100.0))
    np.testing.assert_array_equal(noise.image, draw().image)
    assert (noise.counts != draw().counts).nnz > 0


@pytest.mark.parametrize("diameter", [40.0, 80.0])
def test_depth_does_not_grow_with_the_spot(diameter: float) -> None:
    usual, other = draw().counts.sum(axis=1).mean(), draw(replace(DESIGN, diameter=diameter)).counts.sum(axis=1).mean()
    assert other == pytest.approx(usual, rel=0.2)


def test_a_slide_without_room_for_a_spot_is_refused() -> None:
    with pytest.raises(ValueError, match="no spot of 900.0 um finds a place"):
        draw(replace(DESIGN, diameter=900.0))
