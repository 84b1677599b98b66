from __future__ import annotations

import warnings

import numpy as np
import pytest
from small_cohorts import draw_cohort

from spatialhist._sdata.cohort import open_cohort
from spatialhist.tl._data.duplicates import likenesses, thumbnail, warn_of_similar


def likeness(a, b):
    return likenesses([a, b])[0, 1]


def noise(seed, shape=(3, 90, 130)):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def blurred(seed):
    """Details of several pixels, as tissue has, on a bright background."""
    from scipy.ndimage import gaussian_filter

    texture = gaussian_filter(np.random.default_rng(seed).normal(size=(90, 130)), 2) * 400
    return np.clip(np.stack([texture + 180] * 3), 0, 255)


@pytest.mark.parametrize("quarter_turns", [0, 1, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_or_mirrored_copy_is_alike_and_another_picture_is_not(quarter_turns, mirrored):
    a, copy = thumbnail(blurred(0)), np.rot90(blurred(0), quarter_turns, axes=(1, 2))
    assert likeness(a, thumbnail(copy[:, ::-1] if mirrored else copy)) > 0.99
    assert likeness(a, thumbnail(blurred(1))) < 0.3


def test_each_pair_is_compared_in_eight_orientations():
    every = [thumbnail(blurred(seed)) for seed in range(4)]
    r = likenesses(every)
    turned = [np.rot90(side, k) for side in (every[3], every[3].T) for k in range(4)]
    expected = max(np.corrcoef(every[1].ravel(), t.ravel())[0, 1] for t in turned)
    assert r[1, 3] == pytest.approx(expected, abs=1e-12) and r[3, 1] == pytest.approx(expected, abs=1e-12)
    assert likenesses([]).shape == (0, 0)


def test_a_noisy_copy_at_half_the_size_is_alike():
    copy = blurred(0)[:, ::2, ::2] + np.random.default_rng(5).normal(0, 10, (3, 45, 65))
    assert likeness(thumbnail(blurred(0)), thumbnail(copy)) > 0.7


def test_tissue_at_about_the_same_place_is_no_likeness():
    a, b = np.full((2, 3, 90, 130), 240.0)
    a[:, 20:70, 30:100] = 150
    b[:, 26:75, 24:105] = 150
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.6
    a, b = a + (blurred(0) - 180) / 2, b + (blurred(1) - 180) / 2
    assert likeness(thumbnail(a), thumbnail(b)) < 0.3


def test_an_empty_picture_is_like_nothing():
    empty = thumbnail(np.full((3, 40, 60), 255, np.uint8))
    assert likeness(empty, empty) == 0
    assert likeness(empty, thumbnail(noise(0))) == 0


def test_slides_of_different_groups_are_named_and_those_of_one_group_are_not():
    cohort = open_cohort(draw_cohort(0, n_slides=3), None)
    images = cohort.sdata.images
    images["S2_full_image"].data = np.asarray(images["S1_full_image"].data)[:, :, ::-1].copy()
    with pytest.warns(
        UserWarning, match=r"look alike .*: 'S1' and 'S2' \(1\.00\); if they are sections of one patient"
    ):
        warn_of_similar(cohort.every_slide(), {"S1": "a", "S2": "b", "S3": "c"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warn_of_similar(cohort.every_slide(), {"S1": "a", "S2": "a", "S3": "c"})
