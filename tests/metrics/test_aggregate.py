from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from spatialhist import metrics


def test_summarize_by_hand():
    values = [0.1, 0.3, np.nan, 0.5, 0.7, np.nan, 0.9]
    slide = ["a1", "a1", "a1", "a2", "b1", "c1", "b1"]
    group = ["A", "A", "A", "A", "B", "C", "B"]
    summary = metrics.summarize(values, slide, group)
    assert summary.slides == pytest.approx({"a1": 0.2, "a2": 0.5, "b1": 0.8, "c1": np.nan}, nan_ok=True)
    assert summary.groups == pytest.approx({"A": 0.35, "B": 0.8, "C": np.nan}, nan_ok=True)
    assert summary.score == pytest.approx(0.575)
    assert summary.left_out == {"a1": 1, "a2": 0, "b1": 0, "c1": 1}


@given(st.permutations(range(12)))
def test_order_of_values_does_not_matter(order):
    rng = np.random.default_rng(0)
    values, slide = rng.random(12), np.array(list("aabbbccccddd"))
    group = np.where(slide < "c", "A", "B")
    summary, again = (
        metrics.summarize(values, slide, group),
        metrics.summarize(values[order], slide[order], group[order]),
    )
    assert summary.slides == pytest.approx(again.slides)
    assert summary.score == pytest.approx(again.score)


def test_slides_in_two_groups_and_wrong_lengths_are_errors():
    with pytest.raises(ValueError, match=r"more than one group: \['s'\]"):
        metrics.summarize([1.0, 2.0], ["s", "s"], ["A", "B"])
    with pytest.raises(ValueError, match="for each of 2 rows"):
        metrics.summarize([1.0, 2.0], ["s"], ["A", "B"])


@pytest.fixture
def cohort() -> dict[str, np.ndarray]:
    """Four slides of two patients: each slide has its own level, each patient its own gradient across x."""
    rng = np.random.default_rng(0)
    slide = np.repeat(["A1", "A2", "B1", "B2"], 80)
    xy = rng.uniform(size=(slide.size, 2))
    level = {name: rng.normal(0, 3, 30) for name in np.unique(slide)}
    slope = {"A": rng.standard_normal(30), "B": rng.standard_normal(30)}
    noise = rng.standard_normal((slide.size, 30))
    gradient = np.stack([slope[s[0]] * x for s, x in zip(slide, xy[:, 0] - 0.5, strict=True)])
    truth = np.stack([level[s] for s in slide]) + gradient + noise
    return {"truth": truth, "slide": slide, "group": np.array([s[0] for s in slide]), "xy": xy}


def headline(cohort: dict[str, np.ndarray], predicted: np.ndarray) -> float:
    return metrics.within_slide_pearson(cohort["truth"], predicted, cohort["slide"], cohort["group"]).score


def test_headline_is_scipy_within_slides_averaged_upwards(cohort):
    truth = cohort["truth"]
    predicted = truth + 2 * np.random.default_rng(1).standard_normal(truth.shape)
    by_slide = {
        s: np.mean([stats.pearsonr(t, p).statistic for t, p in zip(truth[rows].T, predicted[rows].T, strict=True)])
        for s, rows in ((s, cohort["slide"] == s) for s in np.unique(cohort["slide"]))
    }
    summary = metrics.within_slide_pearson(truth, predicted, cohort["slide"], cohort["group"])
    assert summary.slides == pytest.approx(by_slide)
    assert summary.score == pytest.approx(np.mean(list(by_slide.values())))


def test_a_constant_predictor_scores_zero(cohort):
    constant = np.broadcast_to(cohort["truth"].mean(axis=0), cohort["truth"].shape)
    assert headline(cohort, constant) == 0
    # the same profile in every spot looks like a fair predictor spot by spot
    levels = cohort["truth"] + np.linspace(0, 20, 30)
    assert metrics.spot_spearman(levels, np.broadcast_to(levels.mean(axis=0), levels.shape)).mean() > 0.5


def test_the_level_of_each_slide_scores_zero_but_looks_good_pooled(cohort):
    truth, slide = cohort["truth"], cohort["slide"]
    slide_mean = np.stack([truth[slide == s].mean(axis=0) for s in slide])
    assert headline(cohort, slide_mean) == 0
    assert metrics.pooled_pearson(truth, slide_mean).mean() > 0.8


def test_slide_levels_hide_a_prediction_that_is_wrong_within_every_slide(cohort):
    truth, slide = cohort["truth"], cohort["slide"]
    slide_mean = np.stack([truth[slide == s].mean(axis=0) for s in slide])
    upside_down = slide_mean - 0.3 * (truth - slide_mean)
    assert headline(cohort, upside_down) == pytest.approx(-1)
    assert metrics.pooled_pearson(truth, upside_down).mean() > 0.7


def test_position_learned_on_the_other_patient_scores_nothing_but_looks_good_pooled_with_slide_levels(cohort):
    truth, slide, group, xy = (cohort[key] for key in ("truth", "slide", "group", "xy"))
    predicted = np.empty_like(truth)
    for name in "AB":
        train, test = group != name, group == name
        design = np.column_stack([xy, np.ones(len(xy))])
        predicted[test] = design[test] @ np.linalg.lstsq(design[train], truth[train])[0]
    assert abs(headline(cohort, predicted)) < 0.1
    slide_mean = np.stack([truth[slide == s].mean(axis=0) for s in slide])
    assert metrics.pooled_pearson(truth, predicted + slide_mean).mean() > 0.5


def test_a_target_outside_the_panel_of_one_slide_is_left_out_there(cohort):
    predicted = cohort["truth"].copy()
    predicted[cohort["slide"] == "A2", :4] = np.nan
    summary = metrics.within_slide_pearson(cohort["truth"], predicted, cohort["slide"], cohort["group"])
    assert summary.left_out == {"A1": 0, "A2": 4, "B1": 0, "B2": 0}
    assert summary.score == pytest.approx(1)


def test_interval_has_its_level_with_few_groups():
    rng = np.random.default_rng(0)
    hits = []
    for seed in range(400):
        values = dict(enumerate(rng.normal(0.3, 0.1, 8)))
        low, high = metrics.group_interval(values, level=0.9, seed=seed)
        hits.append(low <= 0.3 <= high)
    # standard error .015; plain percentiles reach about .83
    assert np.mean(hits) == pytest.approx(0.9, abs=0.045)


def test_interval_is_reproducible_and_leaves_nan_out():
    values = {f"p{i}": v for i, v in enumerate(np.random.default_rng(0).random(9))}
    expected = metrics.group_interval(values, seed=3)
    assert metrics.group_interval({**values, "p9": np.nan}, seed=3) == expected
    assert metrics.group_interval(values, level=0.5, seed=3)[0] > expected[0]


def test_interval_refuses_few_groups_and_bad_levels():
    with pytest.raises(ValueError, match="needs at least 8 groups, found 3; .* paired_wins"):
        metrics.group_interval({"A": 0.1, "B": 0.2, "C": 0.3, "D": np.nan})
    with pytest.raises(ValueError, match="level must lie between 0 and 1, found 95"):
        metrics.group_interval(dict.fromkeys(range(8), 0.1), level=95)


def test_paired_wins():
    a = {"A": 0.3, "B": 0.1, "C": 0.2, "D": np.nan}
    b = {"B": 0.2, "A": 0.1, "C": 0.2, "D": 0.5}
    assert metrics.paired_wins(a, b) == (1, 1, 1, 1)
    more = {**a, "E": 0.1, "F": 0.1}, {**b, "E": 0.2, "F": 0.2}
    assert metrics.paired_wins(*more) == (1, 3, 1, 1)
    assert metrics.paired_wins(*more, lower_is_better=True) == (3, 1, 1, 1)
    with pytest.raises(ValueError, match="groups differ"):
        metrics.paired_wins(a, {"A": 0.1})
