from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialhist.tl._scores.intervals import coverage, group_radius, groups_needed


def draw_errors(rng, n_groups, *, spread=0.6, n_genes=2):
    """Absolute errors whose size differs between groups, which have 3 to 60 spots."""
    sizes = rng.integers(3, 60, n_groups)
    group = np.repeat(np.arange(n_groups), sizes)
    scale = np.exp(spread * rng.normal(size=(n_groups, n_genes)))
    return np.abs(rng.normal(size=(len(group), n_genes))) * scale[group], group


def left_out_radius(errors, group, level):
    """Half widths for every group, from the residuals of the others."""
    return {g: group_radius(errors[group != g], group[group != g], level) for g in np.unique(group).tolist()}


@pytest.mark.parametrize(
    ("level", "needed"), [(0.8, 4), (0.9, 9), (0.5, 1), (0.95, 19), (0.75, 3), (0.81, 5), (0.01, 1), (0.99, 99)]
)
def test_groups_needed(level, needed):
    assert groups_needed(level) == needed


@pytest.mark.parametrize("level", [0, 1, -0.1, 80])
def test_level_that_is_none(level):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        groups_needed(level)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_a_further_group_is_covered_as_often_as_promised(level):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        errors, group = draw_errors(rng, 30)
        further, other = draw_errors(rng, 30)
        covered = coverage(further, other, dict.fromkeys(range(30), group_radius(errors, group, level)))
        found.append(np.mean(list(covered.values())))
    assert level - 0.01 < np.mean(found) < level + 0.03


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("n_groups", [30, 60])
def test_left_out_groups_are_covered_within_three_points(level, n_groups):
    rng, found = np.random.default_rng(1), []
    for _ in range(4):
        errors, group = draw_errors(rng, n_groups)
        covered = coverage(errors, group, left_out_radius(errors, group, level))
        assert len(covered) == n_groups
        found.append(np.mean(list(covered.values())))
    assert found == pytest.approx([level] * 4, abs=0.03)


def test_a_group_weighs_the_same_however_many_spots_it_has():
    errors = np.concatenate([np.full(1000, 1.0), [2.0], [3.0], [4.0]])[:, None]
    group = np.array(["big"] * 1000 + ["b", "c", "d"])
    # each group weighs a fifth: 0.2 below 1, 0.4 below 2, 0.6 below 3, 0.8 below 4
    for level, radius in ((0.2, 1), (0.4, 2), (0.5, 3), (0.8, 4)):
        assert group_radius(errors, group, level) == radius
    assert np.isnan(group_radius(errors, group, 0.81))


def test_a_gene_of_too_few_groups_has_no_radius():
    errors, group = draw_errors(np.random.default_rng(2), 4)
    errors[group == 0, 1] = np.nan
    radius = group_radius(errors, group, 0.8)
    assert np.isfinite(radius[0])
    assert np.isnan(radius[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.8))
def test_one_groups_errors_do_not_reach_its_own_radius(seed, level):
    errors, group = draw_errors(np.random.default_rng(seed), 6)
    before = left_out_radius(errors, group, level)
    changed = np.where((group == 2)[:, None], 100 * errors, errors)
    after = left_out_radius(changed, group, level)
    np.testing.assert_array_equal(before[2], after[2])
    assert (after[3] >= before[3]).all()


def test_coverage_leaves_out_what_is_not_known():
    errors = np.array([[1.0, 5.0], [np.nan, 5.0], [3.0, 5.0]])
    group = np.array(["a", "a", "b"])
    radius = {"a": np.array([2.0, 4.0]), "b": np.array([np.nan, np.nan])}
    covered = coverage(errors, group, radius)
    assert covered["a"] == pytest.approx(1 / 3)
    assert np.isnan(covered["b"])
