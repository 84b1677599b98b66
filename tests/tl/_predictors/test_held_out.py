from __future__ import annotations

import numpy as np
import pytest

from spatialhist.tl._predictors.held_out import HeldSlide, held_slides, mean_score, within_slide_score


def drawn(n, n_features=4, n_genes=3):
    rng = np.random.default_rng(n)
    return rng.normal(2, 1, (n, n_features)), rng.normal(5, 2, (n, n_genes)), rng.normal(size=(n_features, n_genes))


def test_score_averages_genes_then_slides_and_skips_tiny_slides():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(2, 33, 2))
    slide = np.repeat(["a", "b", "c"], [20, 10, 3])
    expected = np.mean(
        [
            np.mean([np.corrcoef(truth[s, g], predicted[s, g])[0, 1] for g in range(2)])
            for s in (slide == "a", slide == "b")
        ]
    )
    assert within_slide_score(truth, predicted, slide) == pytest.approx(expected)


def test_constant_truth_scores_nothing():
    assert within_slide_score(np.ones((9, 2)), np.eye(9)[:, :2], np.zeros(9)) == 0.0
    assert HeldSlide.of(np.eye(9)[:, :2], np.ones((9, 3))).score(np.ones((2, 3))) == 0.0


@pytest.mark.parametrize("sizes", [(40, 7), (6, 5, 3)], ids=["many spots", "few spots"])
def test_scores_of_weights_are_those_of_their_predictions(sizes):
    design, truth, weights = drawn(sum(sizes), n_features=6)
    slide = np.repeat(np.arange(len(sizes)), sizes)
    truth[slide == 0, 1] = 7
    weights[:, 2] = 0
    slides = held_slides(design, truth, slide)
    assert len(slides) == 2
    assert all(len(s.design) <= 6 for s in slides)
    assert mean_score(slides, weights) == pytest.approx(within_slide_score(truth, design @ weights, slide), abs=1e-14)


@pytest.mark.parametrize("n", [30, 3])
def test_leading_components_see_what_all_of_them_see(n):
    design, truth, weights = drawn(n)
    left, right = weights, np.random.default_rng(1).normal(size=(3, 3))
    seen = HeldSlide.of(design.copy(), truth).through(left)
    for k in (1, 2, 3):
        expected = HeldSlide.of(design.copy(), truth).score(left[:, :k] @ right[:k])
        assert seen.leading(k).score(right[:k]) == pytest.approx(expected, abs=1e-14)


def test_a_slide_whose_spots_look_alike_is_scored_zero_and_not_by_rounding():
    design, truth, weights = drawn(30)
    alike = np.tile(design[:1] * 0.1 + 0.3, (30, 1))
    assert HeldSlide.of(alike.copy(), truth).score(weights) == 0.0
    assert HeldSlide.of(alike.copy(), truth).through(weights).score(np.eye(3)) == 0.0
