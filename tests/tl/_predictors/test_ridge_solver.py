from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge

from spatialhist.tl._predictors import ridge_solver as ridge
from spatialhist.tl._predictors.held_out import MIN_SPOTS_SCORED


def planted(n_slides=4, n=60, n_features=12, n_genes=5, noise=1.0, seed=0):
    """Centered designs and targets of several slides with one linear law."""
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(n_slides), n)
    design = rng.normal(size=(len(slide), n_features))
    weights = np.random.default_rng(5).normal(size=(n_features, n_genes))
    targets = design @ weights + noise * rng.normal(size=(len(slide), n_genes))
    return design, ridge.center_by_slide(targets, slide)[0], slide


def choose(design, targets, slide, **options):
    """Leave out slide after slide."""
    design = ridge.Design(design)
    return ridge.choose(design, ridge.GroupSums.of(design, targets, slide), targets, slide, slide, **options)


def solve(design, targets, strength):
    return ridge.GroupSums.of(ridge.Design(design), targets, np.zeros(len(design))).all().solve(strength)


def test_centers_are_slide_means_and_the_level_counts_slides_alike():
    targets = np.array([[1.0], [3], [10], [20], [30]])
    centered, level = ridge.center_by_slide(targets, np.array(["b", "b", "a", "a", "a"]))
    np.testing.assert_allclose(centered.ravel(), [-1, 1, -10, 0, 10])
    np.testing.assert_allclose(level, [11])


def written_out(design, targets, slide, inner, strengths, ranks):
    """Scores ``(groups, strengths, ranks)`` the long way: every held-out spot predicted, projections of genes by genes."""
    scores = []
    for group in np.unique(inner):
        held = inner == group
        x, y = design[~held], targets[~held]
        for strength in strengths:
            weights = np.linalg.solve(x.T @ x + strength * len(x) / 1e3 * np.eye(x.shape[1]), x.T @ y)
            for rank in ranks:
                scores.append(mean_correlation(targets[held], design[held] @ weights @ kept(y, rank), slide[held]))
    return np.reshape(scores, (-1, len(strengths), len(ranks)))


def kept(targets, rank):
    """Projection ``(genes, genes)`` on leading components of scaled targets, from all of their singular vectors."""
    if rank in (0, targets.shape[1]):
        return np.eye(targets.shape[1])
    deviation = targets.std(axis=0)
    leading = np.linalg.svd(targets / deviation)[2][:rank]
    return np.diag(1 / deviation) @ leading.T @ leading @ np.diag(deviation)


def mean_correlation(truth, predicted, slide):
    each = [
        np.mean([np.corrcoef(truth[slide == s, g], predicted[slide == s, g])[0, 1] for g in range(truth.shape[1])])
        for s in np.unique(slide)
    ]
    return np.mean(each)


@pytest.mark.parametrize("n_genes", [3, 7, 90], ids=["few genes", "more spots than genes", "more genes than spots"])
def test_choice_and_weights_are_those_of_predicting_every_spot(n_genes, monkeypatch):
    # slides of fewer and of more spots than there are features, two of them in one group
    sizes, inner = [9, 25, 17, 30], np.array([0, 0, 1, 2])
    design, targets, _ = planted(1, sum(sizes), n_features=12, n_genes=n_genes, noise=6)
    slide = np.repeat(np.arange(4), sizes)
    targets, inner = ridge.center_by_slide(targets, slide)[0], inner[slide]
    strengths, ranks, found = (1.0, 300.0, 1e5), (3, 1, 5, 0), []
    held_out = ridge._held_out_scores
    monkeypatch.setattr(ridge, "_held_out_scores", lambda *args: found.append(held_out(*args)) or found[-1])
    sums = ridge.GroupSums.of(ridge.Design(design + 4), targets, inner)
    choice = ridge.choose(ridge.Design(design + 4), sums, targets, slide, inner, strengths=strengths, ranks=ranks)
    centered = design - design.mean(axis=0)
    expected = written_out(centered, targets, slide, inner, strengths, ranks if n_genes > 3 else (0, 1, 0, 0))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    i, j = ridge._nearest_of_the_good(expected, strengths)
    assert (choice.strength, choice.rank) == (strengths[i], ranks[j])
    for rank in (*ranks, n_genes):
        weights = written_out_weights(centered, targets, choice.strength) @ kept(targets, rank if rank < n_genes else 0)
        np.testing.assert_allclose(sums.all().solve(choice.strength, rank), weights, atol=1e-10)


def written_out_weights(x, y, strength):
    return SklearnRidge(alpha=strength * len(x) / 1e3, fit_intercept=False).fit(x, y).coef_.T


def test_more_genes_than_spots_take_no_table_of_genes_by_genes():
    design, targets, slide = planted(n_genes=300)
    sums = ridge.GroupSums.of(ridge.Design(design), targets, slide)
    assert [part.shape for part in sums.targets] == [(60, 300)] * 4
    components = sums.all().components(2)
    assert (components.left.shape, components.right.shape) == ((300, 2), (2, 300))


@pytest.mark.parametrize("strength", [0.1, 30.0, 1e4])
def test_solution_is_that_of_sklearn(strength):
    design, targets, _ = planted()
    expected = SklearnRidge(alpha=strength * len(design) / 1e3).fit(design, targets)
    np.testing.assert_allclose(solve(design, targets, strength), expected.coef_.T, rtol=1e-8, atol=1e-12)


def test_sums_are_those_of_centered_features_whatever_the_parts(monkeypatch):
    design, targets, slide = planted()
    monkeypatch.setattr("spatialhist.tl._data.samples.ROWS", 7)
    sums = ridge.GroupSums.of(ridge.Design(design + 50), targets, slide)
    centered = design - design.mean(axis=0)
    np.testing.assert_allclose(sums.level, design.mean(axis=0) + 50)
    rest = slide != 1
    for found, rows in ((sums.all(), slide >= 0), (sums.without(1, centered[~rest]), rest)):
        x, y = centered[rows], targets[rows]
        assert found.n == len(x)
        np.testing.assert_allclose(found.gram, x.T @ x, atol=1e-7)
        np.testing.assert_allclose(found.cross, x.T @ y, atol=1e-7)
        np.testing.assert_allclose(found.targets, y.T @ y, atol=1e-9)


def test_labels_of_the_left_out_group_do_not_move_the_others_by_a_byte():
    design, targets, slide = planted()
    others = []
    for scale in (1, 1e9):
        moved = np.where((slide == 2)[:, None], -scale * targets, targets)
        sums = ridge.GroupSums.of(ridge.Design(design), moved, slide)
        others.append(sums.without(2, (design - sums.level)[slide == 2]))
    np.testing.assert_array_equal(others[0].cross, others[1].cross)
    np.testing.assert_array_equal(others[0].targets, others[1].targets)
    np.testing.assert_array_equal(others[0].gram, others[1].gram)


def test_features_are_made_from_points_part_by_part():
    points, sizes = np.arange(20000.0)[:, None], []

    def lift(some):
        sizes.append(len(some))
        return np.hstack([some, some**2])

    design = ridge.Design(points, lift)
    sums = ridge.GroupSums.of(design, points - points.mean(), np.zeros(20000))
    assert sizes == [1, 8192, 8192, 3616]
    np.testing.assert_allclose(sums.level, [points.mean(), np.mean(points**2)])
    np.testing.assert_array_equal(design.rows(np.array([3, 1])), [[3, 9], [1, 1]])


def test_a_strength_means_the_same_for_a_cohort_twice_as_large():
    design, targets, _ = planted()
    twice = solve(np.tile(design, (2, 1)), np.tile(targets, (2, 1)), 50.0)
    np.testing.assert_allclose(twice, solve(design, targets, 50.0))


def test_the_score_of_a_choice_is_that_of_fits_without_each_group():
    design, targets, slide = planted(noise=4)
    strengths = (1.0, 300.0)
    expected, design = [], design - design.mean(axis=0)
    for strength in strengths:
        each = []
        for name in range(4):
            held = slide == name
            model = SklearnRidge(alpha=strength * (~held).sum() / 1e3, fit_intercept=False).fit(
                design[~held], targets[~held]
            )
            predicted = model.predict(design[held])
            each.append(np.mean([np.corrcoef(p, t)[0, 1] for p, t in zip(predicted.T, targets[held].T, strict=True)]))
        expected.append(np.mean(each))
    choice = choose(design, targets, slide, strengths=strengths, ranks=(0,))
    assert choice.strength == strengths[int(np.argmax(expected))]
    assert choice.score == pytest.approx(max(expected))


FIRST = [[0.30, 0.29], [0.28, 0.27], [0.10, 0.05]]
"""Scores of one group, strengths x ranks."""


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (FIRST, [[0.20, 0.11], [0.21, 0.10], [0.05, 0.02]], (1, 0)),  # 0.02 better, then 0.01 worse: luck
        (FIRST, [[0.23, 0.11], [0.21, 0.10], [0.05, 0.02]], (0, 0)),  # 0.02 better in both groups
        (FIRST, [[0.20, 0.36], [0.21, 0.10], [0.05, 0.02]], (0, 0)),  # the second rank is better in one group only
        ([[0.3, 0.9], [0.2, 0.8]], [[0.2, 0.9], [0.2, 0.8]], (0, 1)),  # ... and in both
    ],
)
def test_of_candidates_within_a_standard_error_the_nearest_to_the_fallback_is_taken(first, second, chosen):
    assert ridge._nearest_of_the_good(np.array([first, second]), (1.0, 1e3, 1e5)[: len(first)]) == chosen


def test_strength_is_small_for_clean_data_and_large_where_most_features_are_noise():
    design, targets, slide = planted(noise=0.01)
    clean = choose(design, targets, slide, ranks=(0,))
    rng = np.random.default_rng(1)
    design, _, slide = planted(n_features=100, n=40)
    design[:, 0] *= 10
    targets = design[:, :1] + 20 * rng.normal(size=(160, 5))
    noisy = choose(design, ridge.center_by_slide(targets, slide)[0], slide, ranks=(0,))
    assert clean.strength < 10 < noisy.strength
    assert clean.score > 0.99


def test_rank_is_found_where_genes_share_one_signal():
    rng = np.random.default_rng(3)
    slide = np.repeat(np.arange(4), 60)
    design = rng.normal(size=(240, 30))
    targets = np.outer(design[:, 0], np.ones(20)) + 2 * rng.normal(size=(240, 20))
    choice = choose(design, ridge.center_by_slide(targets, slide)[0], slide, ranks=(10, 1, 0))
    assert choice.rank == 1


def test_projection_keeps_the_leading_components_of_scaled_targets():
    _, targets, _ = planted(noise=3)
    deviation = targets.std(axis=0)
    pca = PCA(2).fit(targets / deviation)
    expected = pca.inverse_transform(pca.transform(targets / deviation)) * deviation
    np.testing.assert_allclose(targets @ ridge.target_projection(targets, 2), expected, atol=1e-8)
    assert ridge.target_projection(targets, 0) is None
    assert ridge.target_projection(targets, 5) is None


def test_one_inner_group_leaves_nothing_to_choose_on():
    design, targets, slide = planted(n_slides=1)
    choice = choose(design, targets, slide, ranks=(2, 0))
    assert (choice.strength, choice.rank) == (ridge.FALLBACK, 2)
    assert np.isnan(choice.score)


def test_slides_of_a_handful_of_spots_leave_nothing_to_choose_on():
    design, targets, slide = planted(n_slides=6, n=MIN_SPOTS_SCORED - 1)
    choice = choose(design, targets, slide)
    assert choice.strength == ridge.FALLBACK
    assert np.isnan(choice.score)
