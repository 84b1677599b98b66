from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialhist.report._page import score_tables as _score_tables

COLUMNS = ["predictor", "kind", "group", "slide", "target", "metric", "value", "n"]


def table(levels, groups=("P1", "P2", "P3"), metric="pearson"):
    """Scores of one gene: predictors with their kind and level, which rises from group to group."""
    rows = [
        (name, kind, group, f"S{i}", "A", metric, level + 0.1 * i, 30)
        for name, (kind, level) in levels.items()
        for i, group in enumerate(groups)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


BASE = {
    "ridge": ("model", 0.5),
    "stack": ("stack", 0.4),
    "baseline_color": ("baseline", 0.3),
    "baseline_mean": ("baseline", 0.0),
}


BEYOND = BASE | {"stack": ("stack", 0.15), "baseline_color": ("baseline", 0.1), "baseline_mean": ("baseline", 0.2)}


def test_the_verdict_is_about_the_stack_even_where_a_model_scored_higher():
    both = pd.concat([table(BASE), table(BEYOND, metric="pearson_beyond_depth")])
    verdict = _score_tables.collect(both)["verdict"]
    assert verdict == {
        "name": "stack",
        "mean": pytest.approx(0.5),
        "wins": "3/3",
        "baseline": "baseline_color",
        "baseline_mean": pytest.approx(0.4),
        "beyond_depth": pytest.approx(0.25),
        "wins_beyond_depth": "0/3",
        "baseline_beyond_depth": pytest.approx(0.3),
    }


def test_the_part_beyond_depth_stands_beside_the_headline_and_no_further_down():
    found = _score_tables.collect(pd.concat([table(BASE), table(BEYOND, metric="pearson_beyond_depth")]))
    assert found["headline"].columns == [
        "predictor", "kind", "mean", "beyond_depth", "wins", "wins_beyond_depth",
    ]  # fmt: skip
    assert found["headline"].rows[0][3] == pytest.approx(0.25)
    assert found["others"].columns == ["predictor"]
    assert found["lower_bound"].startswith("'Beyond depth' is a lower bound") and "empty" not in found["lower_bound"]
    assert found["lower_bound"] + " It is empty here" in _score_tables.collect(table(BASE))["lower_bound"]


def test_no_verdict_without_something_to_compare():
    baselines = {k: v for k, v in BASE.items() if v[0] == "baseline"}
    assert _score_tables.collect(table(baselines))["verdict"] is None
    assert _score_tables.collect(table({"ridge": ("model", 0.5)}))["verdict"] is None


def test_oracles_stand_apart():
    found = _score_tables.collect(table({**BASE, "noise_ceiling": ("oracle", 0.7)}))
    assert [row[0] for row in found["headline"].rows] == ["stack", "ridge", "baseline_color", "baseline_mean"]
    assert found["oracles"].columns == ["predictor", "mean", "beyond_depth"]
    assert found["oracles_by_group"].columns == ["held-out group", "noise_ceiling"]
    assert found["groups"].columns == ["held-out group", "stack", "ridge", "baseline_color", "baseline_mean"]
    assert found["groups"].rows[1] == ["P2", *(pytest.approx(level + 0.1) for level in (0.4, 0.5, 0.3, 0.0))]
    assert found["oracles"].rows[0][:2] == ["noise_ceiling", pytest.approx(0.8)]


def test_the_page_names_the_shown_metrics_of_which_lower_is_better():
    both = pd.concat([table(BASE), table(BASE, metric="nrmse"), table(BASE, metric="spearman")])
    assert _score_tables.collect(both)["lower_is_better"] == ["nrmse"]
    assert _score_tables.collect(table(BASE))["lower_is_better"] == []


def test_intervals_from_eight_groups_on():
    found = _score_tables.collect(table(BASE, groups=[f"P{i}" for i in range(8)]))
    assert found["headline"].columns[:7] == ["predictor", "kind", "mean", "low", "high", "beyond_depth", "wins"]


def test_other_metrics_stand_beside_each_other():
    pooled = pd.DataFrame([("ridge", "model", "all", "all", "", "pooled_pearson", 0.9, 90)], columns=COLUMNS)
    rmse = table({"ridge": ("model", 1.0)}, metric="rmse")
    others = _score_tables.collect(pd.concat([table(BASE), rmse, pooled]))["others"]
    assert others.columns == ["predictor", "pooled_pearson", "rmse"]
    rows = {row[0]: row[1:] for row in others.rows}
    np.testing.assert_allclose(rows["ridge"], [0.9, 1.1])
    assert np.isnan(rows["stack"]).all()


def test_spots_without_ranks_are_counted():
    assert _score_tables.collect(table(BASE))["profiles"] is None
    left_out = table({"stack": ("stack", 2.0), "ridge": ("model", 9.0)}, metric="spots_left_out")
    constant = table({"stack": ("stack", 1.0)}, metric="spots_constant", groups=("P1",))
    found = _score_tables.collect(pd.concat([table(BASE), left_out, constant]))
    assert found["profiles"] == {"spots_left_out": 6, "spots_constant": 1}
