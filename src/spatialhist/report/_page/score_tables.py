"""What the scores say, as rows for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from spatialhist import tl
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, HEADLINE, LOWER_BOUND, NO_DEPTH, named
from spatialhist.tl._scores.score_slide import COUNTS


@dataclass(frozen=True)
class Table:
    """Column names and rows; the first column names the row."""

    columns: list[str]
    rows: list[list[Any]]


def collect(scores: pd.DataFrame) -> dict[str, Any]:
    """Headline, oracles and other metrics; groups are rows, since there may be more of them than a page is wide."""
    summary = tl.summarize(scores)
    fair = summary[summary["kind"] != "oracle"]
    oracles = summary[summary["kind"] == "oracle"]
    return {
        "headline": _table(fair),
        "groups": _groups(fair),
        "verdict": _verdict(fair),
        "lower_bound": LOWER_BOUND + ("" if summary["beyond_depth"].notna().any() else f" {NO_DEPTH}"),
        "oracles": _table(oracles.drop(columns=["kind", "wins", "wins_beyond_depth"])) if len(oracles) else None,
        "oracles_by_group": _groups(oracles) if len(oracles) else None,
        "others": (others := _others(scores, list(fair.index))),
        "lower_is_better": [m for m in others.columns[1:] if named(m).lower_is_better],
        "profiles": _profiles(scores, str(fair.index[0])),
    }


OVERALL = ("kind", "mean", "low", "high", "beyond_depth", "wins", "wins_beyond_depth")
"""Columns of a summary that are not a group."""


def _table(summary: pd.DataFrame) -> Table:
    return _rows("predictor", summary[[c for c in OVERALL if c in summary]])


def _groups(summary: pd.DataFrame) -> Table:
    """Within-slide Pearson of every held-out group, a predictor a column."""
    return _rows("held-out group", summary[[c for c in summary if c not in OVERALL]].T)


def _rows(name: str, frame: pd.DataFrame) -> Table:
    rows = zip(frame.index, frame.to_numpy().tolist(), strict=True)
    return Table([name, *frame.columns], [[label, *row] for label, row in rows])


def _verdict(fair: pd.DataFrame) -> dict[str, Any] | None:
    """Best stack or model against the best baseline."""
    trained, baselines = fair[fair["kind"].isin(["stack", "model"])], fair[fair["kind"] == "baseline"]
    if trained.empty or baselines["mean"].isna().all():
        return None
    # Stacks stand above models: what is reported is not chosen by its score on the scored groups.
    name, baseline = trained.index[0], baselines["mean"].idxmax()
    return {
        "name": name,
        "mean": trained.loc[name, "mean"],
        "wins": trained.loc[name, "wins"],
        "baseline": baseline,
        "baseline_mean": baselines.loc[baseline, "mean"],
        "beyond_depth": trained.loc[name, "beyond_depth"],
        "wins_beyond_depth": trained.loc[name, "wins_beyond_depth"],
        "baseline_beyond_depth": baselines["beyond_depth"].max(),
    }


def _profiles(scores: pd.DataFrame, predictor: str) -> dict[str, int] | None:
    """Spots whose profile over genes has no ranks, measured or predicted."""
    mine = scores[scores["predictor"] == predictor].groupby("metric")
    counts = {metric: mine["value"].sum().get(metric) for metric in COUNTS}
    return None if None in counts.values() else {metric: int(n) for metric, n in counts.items()}


def _others(scores: pd.DataFrame, predictors: list[str]) -> Table:
    """Means of the other metrics, which are not comparable with each other."""
    mine = scores[scores["predictor"].isin(predictors) & ~scores["metric"].isin([HEADLINE, BEYOND_DEPTH])]
    over_all = mine[mine["slide"] == "all"]
    pooled = {m: rows.set_index("predictor")["value"] for m, rows in over_all.groupby("metric", sort=False)}
    names = [m for m in mine["metric"].unique() if m not in (*pooled, *COUNTS)]
    columns = {**pooled, **{m: tl.summarize(scores, metric=m)["mean"] for m in names}}
    return Table(
        ["predictor", *columns], [[p, *(float(c.get(p, float("nan"))) for c in columns.values())] for p in predictors]
    )
