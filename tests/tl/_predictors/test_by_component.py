"""Each component of the targets gets its own strength and slope from groups that were left out, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge as SklearnRidge

from spatialhist.tl import KernelRidge, Ridge
from spatialhist.tl._predictors import by_component as module
from spatialhist.tl._predictors import ridge_solver as ridge
from spatialhist.tl._predictors.by_component import STEEPEST, choose_by_component

STRENGTHS = (1.0, 300.0, 1e5)
SIZES, GROUP_OF = [19, 25, 17, 30, 22], np.array([0, 0, 1, 2, 3])


def planted(n_genes, seed=0):
    """Designs and centered targets, of which the first direction is told well and the others hardly."""
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(len(SIZES)), SIZES)
    design = rng.normal(size=(len(slide), 12))
    signal = np.outer(design[:, 0] - design[:, 3], rng.uniform(1, 2, n_genes))
    noisy = np.outer(0.3 * design[:, 5] + rng.normal(size=len(slide)), rng.normal(size=n_genes))
    targets = signal + noisy + rng.normal(size=(len(slide), n_genes)) * rng.uniform(0.5, 3, n_genes)
    return design, ridge.center_by_slide(targets, slide)[0], slide, GROUP_OF[slide]


def chosen(design, targets, slide, inner, n_components):
    lifted = ridge.Design(design + 4)
    sums = ridge.GroupSums.of(lifted, targets, inner)
    return sums, choose_by_component(lifted, sums, targets, slide, inner, n_components, strengths=STRENGTHS)


def long_way(design, targets, slide, inner, k):
    """Strengths and slopes with every held-out spot predicted, by scikit-learn and a singular value decomposition."""
    groups, design = np.unique(inner), design - design.mean(axis=0)
    score = np.zeros((len(groups), len(STRENGTHS), k))
    product, square = np.zeros_like(score), np.zeros_like(score)
    for g, group in enumerate(groups):
        held = inner == group
        deviation = targets[~held].std(axis=0)
        axes = np.linalg.svd(targets[~held] / deviation, full_matrices=False)[2][:k].T
        components = targets / deviation @ axes
        for i, strength in enumerate(STRENGTHS):
            model = SklearnRidge(strength * (~held).sum() / 1e3, fit_intercept=False).fit(
                design[~held], components[~held]
            )
            predicted = model.predict(design)
            of_group = np.unique(slide[held])
            for s in of_group:
                p = predicted[slide == s] - predicted[slide == s].mean(axis=0)
                t = components[slide == s] - components[slide == s].mean(axis=0)
                score[g, i] += [pearsonr(p[:, c], t[:, c])[0] / len(of_group) for c in range(k)]
                product[g, i] += (p * t).sum(axis=0)
                square[g, i] += (p * p).sum(axis=0)
    best = score.mean(axis=0).argmax(axis=0)
    at = best, np.arange(k)
    slopes = product.sum(axis=0)[at] / square.sum(axis=0)[at]
    return [STRENGTHS[i] for i in best], np.clip(slopes, 0, STEEPEST), score.mean(axis=0)[at].mean()


@pytest.mark.parametrize(("n_genes", "k"), [(7, 4), (150, 5)], ids=["more spots than genes", "more genes than spots"])
def test_strengths_and_slopes_are_those_of_predicting_every_spot(n_genes, k):
    design, targets, slide, inner = planted(n_genes)
    _, found = chosen(design, targets, slide, inner, k)
    strengths, slopes, score = long_way(design, targets, slide, inner, k)
    assert list(found.strengths) == strengths and len(set(strengths)) > 1
    np.testing.assert_allclose(found.slopes, slopes, rtol=1e-6)
    assert found.score == pytest.approx(score)


def test_weights_are_one_ridge_a_component_times_its_slope():
    design, targets, slide, inner = planted(7)
    sums, found = chosen(design, targets, slide, inner, 4)
    deviation = targets.std(axis=0)
    axes = np.linalg.svd(targets / deviation, full_matrices=False)[2][:4].T
    expected = np.zeros((12, 7))
    for c, (strength, slope) in enumerate(zip(found.strengths, found.slopes, strict=True)):
        model = SklearnRidge(strength * len(design) / 1e3).fit(design, targets / deviation @ axes[:, c])
        expected += slope * np.outer(model.coef_, axes[:, c] * deviation)
    np.testing.assert_allclose(found.solve(sums.all()), expected, atol=1e-10)


def test_a_component_that_is_predicted_well_keeps_its_slope():
    _, told = chosen(*planted(7), 1)
    assert told.slopes[0] == pytest.approx(1, abs=0.15)


def test_groups_whose_slides_are_too_small_to_score_choose_nothing():
    design, targets, slide, inner = planted(7)
    few = np.flatnonzero(slide < 3).tolist() + np.flatnonzero(slide == 3)[:4].tolist()
    assert chosen(design[few], targets[few], slide[few], inner[few], 4)[1] is None


@pytest.mark.parametrize("groups", [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], ids=["two", "one"])
def test_fewer_than_three_groups_choose_nothing(groups):
    design, targets, slide, _ = planted(7)
    assert chosen(design, targets, slide, np.array(groups)[slide], 4)[1] is None


def test_a_group_is_left_out_of_what_is_judged_on_it(monkeypatch):
    # labels of a group may decide how well others agree with it, never what is predicted of it
    design, targets, slide, inner = planted(7)
    seen = {}
    agreement = module._agreement

    def watched(others, x, truth, *rest):
        seen.setdefault(len(x), []).append(others.cross.copy())
        return agreement(others, x, truth, *rest)

    monkeypatch.setattr(module, "_agreement", watched)
    chosen(design, targets, slide, inner, 4)
    changed = targets.copy()
    changed[inner == 2] = -7 * changed[inner == 2]
    chosen(design, changed, slide, inner, 4)
    for n, (before, after) in seen.items():
        assert np.array_equal(before, after) == (n == (inner == 2).sum())


@pytest.mark.parametrize("model", [Ridge, KernelRidge])
@pytest.mark.parametrize("value", [-1, 2.5, "many"])
def test_a_wrong_number_of_components_is_refused(model, value):
    with pytest.raises(ValueError, match="by_component=.* must be a whole number .int. of at least 0"):
        model(by_component=value)
