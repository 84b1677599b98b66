from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import spatialhist as sh


def frame(values, metric="pearson"):
    """Scores from ``{(predictor, kind, group, slide): [one a gene]}``."""
    rows = [(*key, f"G{i}", metric, v, 10) for key, several in values.items() for i, v in enumerate(several)]
    return pd.DataFrame(rows, columns=["predictor", "kind", "group", "slide", "target", "metric", "value", "n"])


def test_summary_averages_genes_then_slides_then_groups():
    scores = frame(
        {
            ("m", "model", "a", "a1"): [0.1, 0.3],
            ("m", "model", "a", "a2"): [0.6],
            ("m", "model", "b", "b1"): [0.8, np.nan],
            ("n1", "baseline", "a", "a1"): [0.5],
            ("n1", "baseline", "b", "b1"): [0.3],
            ("n2", "baseline", "a", "a1"): [0.0],
            ("n2", "baseline", "b", "b1"): [0.7],
            ("o", "oracle", "a", "a1"): [0.9],
        }
    )
    table = sh.tl.summarize(scores)
    assert list(table.columns) == ["kind", "mean", "beyond_depth", "a", "b", "wins", "wins_beyond_depth"]
    assert table.loc["m", ["a", "b", "mean"]].tolist() == pytest.approx([0.4, 0.8, 0.6])
    # the baseline with the best mean is n1 (0.4); m loses a and wins b
    assert table.loc["m", "wins"] == "1/2"
    assert list(table.index) == ["m", "n1", "n2", "o"]


def test_summary_without_baselines_counts_no_wins():
    assert sh.tl.summarize(frame({("m", "model", "a", "s"): [1.0]})).loc["m", "wins"] == ""


@pytest.mark.parametrize(("n", "bounded"), [(7, False), (8, True)])
def test_intervals_need_eight_groups(n, bounded):
    values = np.linspace(0.1, 0.5, n)
    table = sh.tl.summarize(frame({("m", "model", f"g{i}", f"s{i}"): [v] for i, v in enumerate(values)}))
    assert ("low" in table) == bounded
    if bounded:
        assert 0.1 <= table.loc["m", "low"] < values.mean() < table.loc["m", "high"] <= 0.5


def test_a_baseline_that_predicts_few_of_many_groups_has_no_interval():
    scores = {("m", "model", f"g{i}", f"s{i}"): [i / 10] for i in range(9)}
    scores |= {("baseline_patient", "baseline", f"g{i}", f"s{i}"): [0.2] for i in range(3)}
    table = sh.tl.summarize(frame(scores))
    assert np.isfinite(table.loc["m", ["low", "high"]].astype(float)).all()
    assert table.loc["baseline_patient", ["low", "high"]].isna().all()


def test_summary_of_a_metric_that_is_not_there():
    with pytest.raises(KeyError, match="no metric 'speed' in the scores; found \\['pearson'\\]"):
        sh.tl.summarize(frame({("m", "model", "a", "s"): [1.0]}), metric="speed")


def test_a_null_that_predicts_few_groups_is_not_the_one_to_beat():
    scores = frame(
        {
            ("m", "model", "a", "a1"): [0.4],
            ("m", "model", "b", "b1"): [0.4],
            ("all", "baseline", "a", "a1"): [0.3],
            ("all", "baseline", "b", "b1"): [0.5],
            ("donor", "baseline", "b", "b1"): [0.9],
        }
    )
    table = sh.tl.summarize(scores)
    assert table.loc["m", "wins"] == "1/2"
    assert table.loc["donor", "wins"] == "1/1"
    nothing = frame({("m", "model", "a", "a1"): [0.4], ("donor", "baseline", "a", "a1"): [np.nan]})
    assert sh.tl.summarize(nothing).loc["m", "wins"] == ""


def bias(truth, predicted):
    return abs((predicted - truth).mean(axis=0))


@pytest.mark.parametrize(
    ("name", "metric"),
    [("rmse", "rmse"), ("bias", sh.tl.Metric("bias", bias, lower_is_better=True))],
)
def test_the_lower_error_wins_against_the_baseline_of_the_lowest(name, metric):
    values = {
        ("m", "model", "a", "a1"): [0.4],
        ("m", "model", "b", "b1"): [0.4],
        ("m", "model", "c", "c1"): [0.2],
        ("worse", "model", "a", "a1"): [0.9],
        ("worse", "model", "b", "b1"): [0.9],
        ("worse", "model", "c", "c1"): [0.9],
        ("low", "baseline", "a", "a1"): [0.5],
        ("low", "baseline", "b", "b1"): [0.3],
        ("low", "baseline", "c", "c1"): [0.3],
        ("high", "baseline", "a", "a1"): [0.6],
        ("high", "baseline", "b", "b1"): [0.6],
        ("high", "baseline", "c", "c1"): [0.6],
    }
    table = sh.tl.summarize(frame(values, name), metric=metric)
    assert list(table.index) == ["m", "worse", "low", "high"]
    assert table["wins"].to_dict() == {"m": "2/3", "worse": "0/3", "low": "0/3", "high": "0/3"}


def test_the_part_beyond_depth_stands_beside_the_headline():
    """By its own means, against the baseline that is best at it."""
    keys = [("m", "model"), ("n1", "baseline"), ("n2", "baseline")]
    headline = dict(zip(keys, [(0.5, 0.7), (0.4, 0.4), (0.1, 0.1)], strict=True))
    beyond = dict(zip(keys, [(0.2, 0.1), (0.0, 0.1), (0.3, 0.0)], strict=True))
    both = [
        frame({(*key, g, g): [v] for key, pair in of.items() for g, v in zip("ab", pair, strict=True)}, metric)
        for metric, of in (("pearson", headline), ("pearson_beyond_depth", beyond))
    ]
    table = sh.tl.summarize(pd.concat(both))
    assert list(table.index) == ["m", "n1", "n2"]
    assert table["beyond_depth"].tolist() == pytest.approx([0.15, 0.05, 0.15])
    assert table.loc["m", ["wins", "wins_beyond_depth"]].tolist() == ["2/2", "1/2"]
    alone = sh.tl.summarize(both[0])
    assert alone["beyond_depth"].isna().all()
    assert set(alone["wins_beyond_depth"]) == {""}
    own = sh.tl.summarize(pd.concat(both), metric="pearson_beyond_depth")
    assert own.loc["m", "mean"] == pytest.approx(0.15)
    assert "beyond_depth" not in own


def test_an_interval_stands_between_the_mean_and_the_part_beyond_depth():
    values = {("m", "model", f"g{i}", f"s{i}"): [0.1 * i] for i in range(8)}
    table = sh.tl.summarize(pd.concat([frame(values), frame(values, "pearson_beyond_depth")]))
    assert list(table.columns[:5]) == ["kind", "mean", "low", "high", "beyond_depth"]
