"""Two predictors, group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist.pl._draw.style import CYCLE, FONT, chart, new_axes
from spatialhist.tl._scores.metrics import label_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatialhist.tl._scores.comparison import Comparison

COLOR = {"a": CYCLE[0], "b": CYCLE[4], "difference": "black"}
BELOW = -1.6
"""Height of the difference: apart from the groups, the last of which is at 0."""


def compare(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw the scores of two predictors in every group, and their difference with its interval.

    Parameters
    ----------
    comparison
        What :func:`spatialhist.tl.compare` returned.
    ax
        Axes to draw into; those of a new figure if None.

    Returns
    -------
    Axes
        Axes: one row per group, with both scores joined by a line; the largest difference on top. Below a rule, on the same
        scale, the difference of each group (dots), their mean (line) and its interval (bar).
    """
    table = comparison.table.sort_values("difference")
    ax = new_axes(ax, (6, 1.5 + 0.28 * len(table)))
    heights = range(len(table))
    ax.hlines(heights, *np.sort(table[[comparison.a, comparison.b]].to_numpy(), axis=1).T, color="#b0b0b0", zorder=1)
    for which in ("b", "a"):
        name = getattr(comparison, which)
        ax.plot(table[name], heights, "o", color=COLOR[which], markersize=6, markeredgewidth=0, label=name)
    _draw_difference(ax, comparison)
    ax.axvline(0, color="black", linewidth=0.6, zorder=0)
    ax.axhline(BELOW / 2, color="black", linewidth=0.6, linestyle=":")
    ax.set_yticks([BELOW, *heights], ["difference", *table.index])
    ax.set_ylim(BELOW - 0.8, len(table) - 0.4)
    chart(ax, xlabel=f"{label_of(comparison.metric)}; difference: {comparison.a} − {comparison.b}")
    ax.legend(fontsize=FONT - 1, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    return ax


def _draw_difference(ax: Axes, comparison: Comparison) -> None:
    each = comparison.table["difference"]
    text = f"{comparison.difference:+.3f}, p = {comparison.p:.2g}"
    if np.isfinite(comparison.low):
        ax.hlines(BELOW, comparison.low, comparison.high, color=COLOR["difference"], linewidth=2)
        text = f"{comparison.difference:+.3f}\n{100 * comparison.level:.3g} % interval\np = {comparison.p:.2g}"
    if comparison.beyond_depth is not None:
        text += f"\n{comparison.beyond_depth.difference:+.3f} beyond depth"
    ax.plot(each, [BELOW] * len(each), "o", color="#808080", markersize=5, markeredgewidth=0, zorder=3)
    ax.plot(comparison.difference, BELOW, "|", color=COLOR["difference"], markersize=13, markeredgewidth=2, zorder=4)
    ax.annotate(text, (1.01, BELOW), xycoords=("axes fraction", "data"), va="center", fontsize=FONT - 1)
