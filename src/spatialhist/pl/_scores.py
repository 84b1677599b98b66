"""Every predictor's score, with its baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from spatialhist._runtime.text import plot_text
from spatialhist.pl._draw.score_means import SHORT_BOUND, dots, means_beyond_depth
from spatialhist.pl._draw.style import FONT, KIND, chart, new_axes
from spatialhist.tl._scores.metrics import label_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGEND = {
    "stack": "stack",
    "model": "model",
    "baseline": "baseline: sees no image, or one field of view",
    "oracle": "upper reference (uses measured data)",
}


def scores(scores: pd.DataFrame, *, metric: str = "pearson", ax: Axes | None = None) -> Axes:
    """Draw the score of every predictor in every group, models and stacks above baselines, upper references apart.

    Parameters
    ----------
    scores
        What :func:`spatialhist.tl.evaluate` returned.
    metric
        Which metric.
    ax
        Axes to draw into; those of a new figure if None.

    Returns
    -------
    Axes
        Axes: one row per predictor, sorted by its mean; a dot is a held-out group, the line is the mean over groups. For
        ``"pearson"`` the open diamond, and the second number, are the mean beyond depth, where the table holds it: a lower
        bound of what is learned about genes, since depth follows cellularity, which H&E shows.
        Upper references (the noise ceiling among them) use the measured data of the scored slide: they stand below a rule, for scale.

    Raises
    ------
    KeyError
        If the table does not hold the metric.
    """
    means = dots(scores, metric)
    order, beyond = _order(means), means_beyond_depth(scores, metric)
    ax = new_axes(ax, (6, 0.9 + 0.28 * (len(order) + 1)))
    for y, (predictor, kind) in order.items():
        values = means.loc[means["predictor"] == predictor, "value"].dropna()
        ax.plot(values, [y] * len(values), "o", color=KIND[kind], alpha=0.6, markersize=5, markeredgewidth=0)
        ax.plot(values.mean(), y, "|", color="black", markersize=13, markeredgewidth=2)
        text = f"{values.mean():z.3f}"
        if predictor in beyond:
            ax.plot(
                beyond[predictor], y, "D", color="black", markersize=4, markerfacecolor="white", markeredgewidth=0.8
            )
            text += f" | {beyond[predictor]:z.3f}"
        ax.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=FONT - 1)
    _finish(ax, order, metric, means["group"].nunique(), beyond_depth=bool(len(beyond)))
    return ax


def _order(means: pd.DataFrame) -> dict[float, tuple[str, str]]:
    """Heights of the predictors: best on top, oracles below a gap."""
    table = means.groupby(["predictor", "kind"], sort=False)["value"].mean().reset_index()
    table["apart"] = table["kind"] == "oracle"
    table = table.sort_values(["apart", "value"], ascending=[True, False], kind="stable")
    heights = [-i - 0.6 * apart for i, apart in enumerate(table["apart"])]
    return dict(zip(heights, zip(table["predictor"], table["kind"], strict=True), strict=True))


def _finish(ax: Axes, order: dict[float, tuple[str, str]], metric: str, n_groups: int, *, beyond_depth: bool) -> None:
    from matplotlib.lines import Line2D

    ax.axvline(0, color="black", linewidth=0.6, zorder=0)
    apart = [y for y, (_, kind) in order.items() if kind == "oracle"]
    if apart and len(apart) < len(order):
        ax.axhline(max(apart) + 0.8, color="black", linewidth=0.6, linestyle=":")
    ax.set_yticks(list(order), [plot_text(name) for name, _ in order.values()])
    ax.set_ylim(min(order) - 0.6, max(order) + 0.6)
    more = f"\nmean beyond depth: diamond ({SHORT_BOUND})" if beyond_depth else ""
    chart(ax, xlabel=f"{label_of(metric)} ({n_groups} held-out groups: dots; mean: line){more}")
    kinds = [kind for kind in KIND if kind in {k for _, k in order.values()}]
    dots = [Line2D([], [], marker="o", linestyle="", color=KIND[kind], label=LEGEND[kind]) for kind in kinds]
    ax.legend(
        handles=dots, fontsize=FONT - 1, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0
    )
