from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spatialhist as sh


def dots(ax):
    """Groups' values by predictor."""
    labels = dict(zip(ax.get_yticks(), [t.get_text() for t in ax.get_yticklabels()], strict=True))
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    return {labels[line.get_ydata()[0]]: line for line in lines}


def test_dots_are_means_of_groups(scores):
    found = dots(sh.pl.scores(scores))
    np.testing.assert_allclose(found["stack"].get_xdata(), [0.6, 0.45])
    np.testing.assert_allclose(found["baseline_mean"].get_xdata(), [0, 0])


def test_agrees_with_the_summary(scores):
    ax = sh.pl.scores(scores)
    summary = sh.tl.summarize(scores)
    labels = {t.get_text(): y for y, t in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)}
    means = {line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"}
    assert {name: pytest.approx(means[labels[name]]) for name in labels} == summary["mean"].to_dict()


def test_best_on_top_and_oracles_apart_below(scores):
    ax = sh.pl.scores(scores)
    names = {t.get_text(): y for y, t in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)}
    assert sorted(names, key=names.get, reverse=True) == ["stack", "ridge", "baseline_mean", "noise_ceiling"]
    assert names["baseline_mean"] - names["noise_ceiling"] > names["stack"] - names["ridge"]


def test_kinds_have_colors_of_their_own(scores):
    colors = [line.get_color() for line in dots(sh.pl.scores(scores)).values()]
    assert len(set(colors)) == 4


def test_label_names_metric_and_groups(scores):
    first, second = sh.pl.scores(scores).get_xlabel().split("\n")
    assert first == "within-slide Pearson r (2 held-out groups: dots; mean: line)"
    assert second == "mean beyond depth: diamond (a lower bound of what is learned about genes)"


def test_the_mean_beyond_depth_stands_beside_the_headline(scores):
    ax = sh.pl.scores(scores)
    diamonds = {line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"}
    means = {line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"}
    assert diamonds == pytest.approx({y: mean / 2 for y, mean in means.items()})
    assert {t.get_text() for t in ax.texts} == {f"{mean:.3f} | {mean / 2:.3f}" for mean in means.values()}


def test_other_metrics_and_unknown_depths_have_no_diamonds(scores):
    for ax in (
        sh.pl.scores(scores, metric="pearson_beyond_depth"),
        sh.pl.scores(scores[scores["metric"] == "pearson"]),
        sh.pl.scores(scores.assign(value=scores["value"].where(scores["metric"] == "pearson"))),
    ):
        assert not [line for line in ax.lines if line.get_marker() == "D"]
        assert "diamond" not in ax.get_xlabel()


def test_missing_groups_are_left_out(scores):
    scores.loc[(scores["predictor"] == "ridge") & (scores["group"] == "P1"), "value"] = np.nan
    np.testing.assert_allclose(dots(sh.pl.scores(scores))["ridge"].get_xdata(), [0.35])


def test_axes_are_those_passed(scores):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert sh.pl.scores(scores, ax=ax) is ax


def test_unknown_metric(scores):
    with pytest.raises(KeyError, match=r"no metric 'ssim'.*pearson"):
        sh.pl.scores(pd.DataFrame(scores), metric="ssim")
