"""Average the scores of a table over targets, slides and groups, and count wins against the best baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spatialhist import metrics
from spatialhist.tl._scores.means import group_means, rows_of
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, HEADLINE, Metric, named


def summarize(scores: pd.DataFrame, *, metric: str | Metric = HEADLINE) -> pd.DataFrame:
    """Average a metric over targets, then slides, then groups.

    Parameters
    ----------
    scores
        What :func:`evaluate` returned.
    metric
        Which metric: its name, or a :class:`Metric` of your own, of which it is known whether lower is better.

    Returns
    -------
    DataFrame
        One row a predictor: kind, ``mean`` over groups, one column per group, and ``wins``, the groups in which it scores
        better than the best baseline, of how many. Sorted by kind (stack, model, baseline, oracle) and mean, best first. With
        eight groups or more, ``low`` and ``high`` bound the mean at 95 % by resampling groups. Beside the mean of ``pearson``
        stand ``beyond_depth``, that of ``pearson_beyond_depth``, and ``wins_beyond_depth``, against the baseline that is best
        at this. It is a lower bound of what is learned about genes, since depth follows cellularity, which H&E shows; NaN
        where nothing says how deep the spots are.

    Raises
    ------
    KeyError
        If the table does not hold the metric.
    ValueError
        If it is no table of scores.
    """
    lacking = [c for c in ("predictor", "kind", "group", "slide", "metric", "value") if c not in scores]
    if lacking:
        raise ValueError(f"the table of scores lacks the columns {lacking}: pass what sh.tl.evaluate returned")
    metric = named(metric)
    groups = group_means(rows_of(scores, metric.name))
    names = list(groups.columns)
    table = _with_mean(groups)
    _add_interval(table, groups.to_numpy(), names)
    table["wins"] = _wins(table, names, metric.lower_is_better)
    if metric.name == HEADLINE:
        _add_beyond_depth(table, scores, groups)
    order = {"stack": 0, "model": 1, "baseline": 2, "oracle": 3}
    # sorted by score first: a stable sort by kind keeps this order within each
    table = table.sort_values("mean", ascending=metric.lower_is_better, kind="stable")
    return table.sort_values("kind", key=lambda k: k.map(order), kind="stable").rename_axis(columns=None)


def _with_mean(groups: pd.DataFrame) -> pd.DataFrame:
    """Kind, mean over groups, and the groups."""
    table = groups.reset_index("kind")
    table.insert(1, "mean", groups.mean(axis=1).to_numpy())
    return table


def _add_beyond_depth(table: pd.DataFrame, scores: pd.DataFrame, groups: pd.DataFrame) -> None:
    """Put the part beyond depth beside the headline; NaN where the scores lack it."""
    part = scores[(scores["metric"] == BEYOND_DEPTH) & (scores["slide"] != "all")]
    beyond = _with_mean(group_means(part).reindex_like(groups) if len(part) else groups * np.nan)
    after = "high" if "high" in table else "mean"
    table.insert(list(table).index(after) + 1, "beyond_depth", beyond["mean"].to_numpy())
    table["wins_beyond_depth"] = _wins(beyond, list(groups.columns), lower_is_better=False)


def _add_interval(table: pd.DataFrame, groups: np.ndarray, names: list[str]) -> None:
    """Bound the mean where there are groups enough for it to mean something."""
    if len(names) < metrics.MIN_GROUPS:
        return
    bounds = [_bounds({n: v for n, v in zip(names, row, strict=True) if np.isfinite(v)}) for row in groups]
    table.insert(2, "low", [b[0] for b in bounds])
    table.insert(3, "high", [b[1] for b in bounds])


def _bounds(scores: dict[str, float]) -> tuple[float, float]:
    """Interval of a predictor; NaN where it predicts too few of the groups, as the mean of a patient's other slides may."""
    return metrics.group_interval(scores)[:2] if len(scores) >= metrics.MIN_GROUPS else (np.nan, np.nan)


def _wins(table: pd.DataFrame, names: list[str], lower_is_better: bool) -> list[str]:
    """Groups won against the baseline with the best mean, among the baselines that predict the most groups."""
    baselines = table[table["kind"] == "baseline"]
    predicted = baselines[names].notna().sum(axis=1)
    # a mean over some of the groups cannot be compared with one over all
    candidates = baselines[(predicted > 0) & (predicted == predicted.max())]
    if candidates.empty:
        return [""] * len(table)
    mean = candidates["mean"]
    best = candidates.loc[mean.idxmin() if lower_is_better else mean.idxmax(), names].to_dict()
    result = []
    for _, row in table.iterrows():
        won = metrics.paired_wins(row[names].to_dict(), best, lower_is_better=lower_is_better)
        result.append(f"{won.wins}/{won.wins + won.losses + won.ties}")
    return result
