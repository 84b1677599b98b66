"""Compare two predictors of one table of scores, with the held-out group as the unit."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pandas as pd

from spatialhist.tl._scores.comparison import ALPHA, Comparison
from spatialhist.tl._scores.means import group_means, rows_of
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, HEADLINE, Metric, named
from spatialhist.tl._scores.paired import mean_interval, sign_flip_p, smallest_p

ONE = ["slide", "target"]
"""What a score within a slide is of."""


def compare(scores: pd.DataFrame, a: str, b: str, *, metric: str | Metric = HEADLINE, seed: int = 0) -> Comparison:
    """Compare two predictors, group by group.

    Spots of a slide, slides of a patient and genes of a spot are alike, so that tests over them find almost any difference
    significant. The unit here is the held-out group, usually a patient.

    Parameters
    ----------
    scores
        What :func:`evaluate` returned in one call, so that both were scored on the same spots and genes.
    a, b
        Predictors, as the table names them.
    metric
        Which metric: a name, or a :class:`Metric` of your own, of which it is known whether lower is better.
    seed
        For the sign flips and subsets that are drawn where there are more than 16 groups; with fewer all are taken.

    Returns
    -------
    Comparison
        Scores and differences of each group, wins, p value and interval. Print it to read it.

    Raises
    ------
    KeyError
        If the table lacks a predictor or the metric.
    ValueError
        If both are the same predictor, the table joins the scores of several calls, or the two were scored in
        different groups, on different spots or on different genes.

    Notes
    -----
    Scores are averaged over the genes of a slide, then over the slides of a group. The test flips the sign of each group's
    difference (both predictors equally good), in all 2^n ways; the interval holds the differences that it does not reject.
    The smallest p of n groups is 2 / 2^n, so with five groups or fewer nothing is significant at 0.05. Models of different
    folds share training slides, which neither test nor interval takes into account.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=3, n_patients=3, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.log_normalize(sdata)
    >>> cv = sh.tl.cross_validate(sdata, models="ridge", genes=10, progress=False)
    >>> comparison = sh.tl.compare(sh.tl.evaluate(sdata), "ridge", "baseline_mean")
    >>> comparison.wins, comparison.smallest_p
    (3, 0.25)
    """
    metric = named(metric)
    rows = rows_of(scores, metric.name)
    _refuse_unknown(rows, a, b)
    _refuse_joined(rows, metric.name)
    one, other = (rows[rows["predictor"] == name].set_index(ONE) for name in (a, b))
    shared = _shared_slides(one, other, a, b)
    every = rows["slide"].unique()
    # slides that only one of them predicts are not compared, and are named in `left_out`
    one, other = (part[part.index.get_level_values("slide").isin(shared)] for part in (one, other))
    _refuse_unlike(one, other, a, b)
    table = _differences(one, other, a, b)
    differences = table["difference"].to_numpy()
    low, high, level = mean_interval(differences, 1 - ALPHA, seed=seed)
    better = -differences if metric.lower_is_better else differences
    return Comparison(
        a, b, metric.name, table, float(differences.mean()),
        wins=int((better > 0).sum()), losses=int((better < 0).sum()), ties=int((better == 0).sum()),
        p=sign_flip_p(differences, seed=seed), smallest_p=smallest_p(len(table)), low=low, high=high, level=level,
        unit="slides" if (one["group"] == one.index.get_level_values("slide")).all() else "groups",
        left_out=tuple(s for s in every if s not in shared and s in _slides_of(rows, a, b)),
        beyond_depth=compare(scores, a, b, metric=BEYOND_DEPTH, seed=seed) if _has_both(scores, metric, a, b) else None,
    )  # fmt: skip


def _has_both(scores: pd.DataFrame, metric: Metric, a: str, b: str) -> bool:
    """Whether this is the headline, and its part beyond depth is known of both predictors."""
    part = scores[(scores["metric"] == BEYOND_DEPTH) & np.isfinite(scores["value"])]
    return metric.name == HEADLINE and {a, b} <= set(part["predictor"])


def _slides_of(rows: pd.DataFrame, *names: str) -> set[str]:
    return set(rows.loc[rows["predictor"].isin(names), "slide"])


def _refuse_unknown(rows: pd.DataFrame, a: str, b: str) -> None:
    known = list(rows["predictor"].unique())
    if missing := [name for name in (a, b) if name not in known]:
        raise KeyError(f"no predictor {missing[0]!r} in the scores; found {known}")
    if a == b:
        raise ValueError(f"a and b are both {a!r}: name two predictors of {known}")


def _refuse_joined(rows: pd.DataFrame, metric: str) -> None:
    """Refuse a table in which a predictor has two scores of one gene on one slide."""
    twice = rows[rows.duplicated(["predictor", *ONE])]
    if len(twice):
        name, slide = twice["predictor"].iloc[0], twice["slide"].iloc[0]
        raise ValueError(
            f"the scores hold two values of {metric!r} of {name!r} on slide {slide!r} for one gene: they join several "
            "tables, of several runs or calls; score what is to be compared in one call, sh.tl.evaluate(sdata, layers=[...])"
        )


def _shared_slides(one: pd.DataFrame, other: pd.DataFrame, a: str, b: str) -> set[str]:
    slides = [set(part.index.get_level_values("slide")) for part in (one, other)]
    shared = slides[0] & slides[1]
    if not shared:
        _refuse(
            f"no slide is scored for both {a!r} (slides {sorted(slides[0])}) and {b!r} (slides {sorted(slides[1])})"
        )
    return shared


def _refuse_unlike(one: pd.DataFrame, other: pd.DataFrame, a: str, b: str) -> None:
    """Refuse scores that are not of the same groups, genes and spots."""
    for slide, first in one.groupby(level="slide", sort=False):
        second = other.xs(slide, level="slide", drop_level=False)
        groups = first["group"].iloc[0], second["group"].iloc[0]
        if groups[0] != groups[1]:
            _refuse(f"slide {slide!r} is in group {groups[0]!r} of {a!r} and in group {groups[1]!r} of {b!r}")
        lacking = len(first.index.symmetric_difference(second.index))
        if lacking:
            _refuse(
                f"on slide {slide!r} {a!r} is scored on {len(first)} genes and {b!r} on {len(second)}, of which {lacking} are "
                "not the same"
            )
        spots = first["n"], second["n"].reindex(first.index)
        if (spots[0] != spots[1]).any():
            _refuse(f"on slide {slide!r} {a!r} is scored on {spots[0].max()} spots and {b!r} on {spots[1].max()}")


def _refuse(what: str) -> NoReturn:
    raise ValueError(
        f"{what}: these scores are of different runs or calls and cannot be paired; score both in one call, "
        "sh.tl.evaluate(sdata, layers=[...])"
    )


def _differences(one: pd.DataFrame, other: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Scores of both in every group in which both have some."""
    both = one.index[np.isfinite(one["value"]) & np.isfinite(other["value"].reindex(one.index))]
    if both.empty:
        raise ValueError(f"no score of {a!r} and {b!r} is finite: the metric says nothing on these slides")
    parts = {a: one.loc[both].reset_index(), b: other.loc[both].reset_index()}
    table = pd.DataFrame({name: group_means(part, ["predictor"]).iloc[0] for name, part in parts.items()})
    table["difference"] = table[a] - table[b]
    return table.rename_axis(index="group", columns=None)
