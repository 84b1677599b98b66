from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spatialhist as sh

COLUMNS = ["predictor", "kind", "group", "slide", "target", "metric", "value", "n"]


def table(levels, *, metrics=("pearson", "rmse"), groups=3, n=40):
    """Scores of predictors by their level: group P1 has one slide, the others two; two genes."""
    rows = []
    for name, level in levels.items():
        slides = [(f"P{g + 1}", f"S{g + 1}{s}") for g in range(groups) for s in "ab"[: 1 + (g > 0)]]
        for i, (group, slide) in enumerate(slides):
            for gene, more in (("A", 0.1), ("B", -0.1)):
                for metric in metrics:
                    rows.append((name, "model", group, slide, gene, metric, level * (1 + i) + more, n))
        rows.append((name, "model", "all", "all", "", "pooled_pearson", 0.5, n))
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture
def scores():
    return table({"ours": 0.05, "theirs": 0.03})


def test_difference_of_every_group(scores):
    found = sh.tl.compare(scores, "ours", "theirs")
    # slides 1 | 2, 3 | 4, 5: their means are 1, 2.5 and 4.5 times the level
    np.testing.assert_allclose(found.table["difference"], 0.02 * np.array([1, 2.5, 4.5]))
    assert found.table.index.tolist() == ["P1", "P2", "P3"]
    assert found.difference == pytest.approx(0.02 * 8 / 3)
    assert (found.wins, found.losses, found.ties) == (3, 0, 0)
    assert (found.low, found.high, found.level) == pytest.approx((0.02, 0.09, 0.75))


def test_means_are_those_of_the_summary(scores):
    means = sh.tl.summarize(scores)["mean"]
    found = sh.tl.compare(scores, "theirs", "ours")
    assert found.table["theirs"].mean() == pytest.approx(means["theirs"])
    assert found.table["ours"].mean() == pytest.approx(means["ours"])


def test_words_say_what_three_groups_can_show(scores):
    text = repr(sh.tl.compare(scores, "ours", "theirs"))
    assert "ours is better than theirs in 3 of 3 groups" in text
    assert "75 % interval +0.020 to +0.090, the widest that 3 groups allow" in text
    assert "with 3 groups no test can be significant: the smallest p is 0.25, 6 groups are needed for 0.05" in text


def test_words_of_six_groups():
    text = repr(sh.tl.compare(table({"ours": 0.05, "theirs": 0.03}, groups=6), "ours", "theirs"))
    assert "p = 0.0312" in text
    assert "can be significant" not in text
    assert "96.9 % interval" in text


def test_words_of_one_group_and_slides_as_groups(scores):
    scores["group"] = scores["slide"]
    text = repr(sh.tl.compare(scores[scores["slide"] == "S1a"], "ours", "theirs"))
    assert "in 1 of 1 slide:" in text
    assert "one slide has no interval" in text


def test_lower_errors_win(scores):
    found = sh.tl.compare(scores, "ours", "theirs", metric="rmse")
    assert (found.wins, found.losses) == (0, 3)
    assert found.difference > 0


def test_ties_are_counted(scores):
    scores.loc[scores["slide"] == "S1a", "value"] = 0.5
    found = sh.tl.compare(scores, "ours", "theirs")
    assert (found.wins, found.ties) == (2, 1)
    assert "as good in 1" in repr(found)


def test_genes_without_a_score_are_left_out_for_both(scores):
    here = (scores["predictor"] == "ours") & (scores["slide"] == "S1a") & (scores["target"] == "A")
    scores.loc[here, "value"] = np.nan
    found = sh.tl.compare(scores, "ours", "theirs").table.loc["P1"]
    assert found["ours"] == pytest.approx(0.05 - 0.1)
    assert found["theirs"] == pytest.approx(0.03 - 0.1)


def test_slides_of_one_alone_are_left_out_and_named(scores):
    partial = scores[~((scores["predictor"] == "theirs") & (scores["group"] == "P1"))]
    found = sh.tl.compare(partial, "ours", "theirs")
    assert found.table.index.tolist() == ["P2", "P3"]
    assert found.left_out == ("S1a",)
    assert "only one of them predicts these: slides S1a" in repr(found)


def test_second_headline(scores):
    scores["metric"] = scores["metric"].replace("rmse", "pearson_beyond_depth")
    assert sh.tl.compare(scores, "ours", "theirs", metric="pearson_beyond_depth").wins == 3


def test_the_headline_brings_its_part_beyond_depth(scores):
    beyond = scores["metric"] == "rmse"
    scores.loc[beyond, "value"] /= 2
    scores["metric"] = scores["metric"].replace("rmse", "pearson_beyond_depth")
    found = sh.tl.compare(scores, "ours", "theirs")
    assert found.beyond_depth.difference == pytest.approx(found.difference / 2)
    assert f"difference {found.difference / 2:+.3f}, better in 3 of 3 groups, p = 0.25" in repr(found)
    scores.loc[beyond, "value"] = np.nan
    assert sh.tl.compare(scores, "ours", "theirs").beyond_depth is None


def joined(scores):
    return pd.concat([scores, scores])


def other_groups(scores):
    mine = scores["predictor"] == "ours"
    return scores.assign(group=scores["group"].where(~(mine & (scores["slide"] == "S2a")), "P9"))


def other_genes(scores):
    return scores.assign(
        target=scores["target"].where((scores["predictor"] != "ours") | (scores["target"] != "B"), "C")
    )


def other_spots(scores):
    return scores.assign(n=scores["n"].where(scores["predictor"] != "ours", 39))


def other_slides(scores):
    return scores[(scores["predictor"] == "ours") == (scores["group"] == "P1")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (joined, "two values of 'pearson' of .* join several tables"),
        (other_groups, "slide 'S2a' is in group 'P9' of 'ours' and in group 'P2' of 'theirs'"),
        (other_genes, "on slide 'S1a' 'ours' is scored on 2 genes and 'theirs' on 2, of which 2 are not the same"),
        (other_spots, "on slide 'S1a' 'ours' is scored on 39 spots and 'theirs' on 40"),
        (other_slides, r"no slide is scored for both 'ours' \(slides \['S1a'\]\)"),
        (lambda scores: scores.assign(value=np.nan), "no score of 'ours' and 'theirs' is finite"),
    ],
)
def test_scores_that_cannot_be_paired(scores, change, message):
    with pytest.raises(ValueError, match=message):
        sh.tl.compare(change(scores), "ours", "theirs")


def test_unknown_names(scores):
    with pytest.raises(KeyError, match=r"no predictor 'mine' in the scores; found \['ours', 'theirs'\]"):
        sh.tl.compare(scores, "mine", "ours")
    with pytest.raises(ValueError, match="a and b are both 'ours'"):
        sh.tl.compare(scores, "ours", "ours")
    with pytest.raises(KeyError, match="no metric 'ssim'"):
        sh.tl.compare(scores, "ours", "theirs", metric="ssim")
