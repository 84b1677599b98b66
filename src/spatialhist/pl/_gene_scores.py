"""How well each gene is predicted, beside how well it could be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from spatialhist._runtime.text import plot_text
from spatialhist.pl._draw.score_means import SHORT_BOUND, best_predictor, target_means
from spatialhist.pl._draw.style import FONT, KIND, chart, new_axes
from spatialhist.tl._scores.means import gene_means, rows_of
from spatialhist.tl._scores.metrics import BEYOND_DEPTH, label_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CEILING = "noise_ceiling"
METRIC = "pearson"
NAME_HEIGHT, MOST_LEFT = 0.045, 0.25
"""Of the names of genes, in units of the axes: their distance, and where they end at the most left."""


def gene_scores(
    scores: pd.DataFrame, *, predictor: str | None = None, n_names: int = 8, ax: Axes | None = None
) -> Axes:
    """Draw each gene's score against its noise ceiling.

    Parameters
    ----------
    scores
        What :func:`spatialhist.tl.evaluate` returned, with its oracles.
    predictor
        Whose scores; the stack, or else the best model, if None.
    n_names
        How many of the best genes are named, of those that every held-out group models.
    ax
        Axes to draw into; those of a new figure if None.

    Returns
    -------
    Axes
        Axes: one dot per gene, means over slides and groups. The line is what the noise of the counts lets a perfect
        prediction reach. Open dots are the same genes beyond depth, beside their ceiling there, where the table holds it: a
        lower bound of what is learned about genes, since depth follows cellularity, which H&E shows.

    Raises
    ------
    KeyError
        If the table holds no such predictor, or no noise ceiling.
    """
    predictor = best_predictor(scores, METRIC) if predictor is None else predictor
    table = target_means(scores, METRIC)
    for name in (predictor, CEILING):
        if name not in table:
            raise KeyError(f"no predictor {name!r} in the scores; found {list(table)}")
    ax = new_axes(ax, (4.4, 4))
    table = table[[CEILING, predictor]].dropna()
    ax.plot(table[CEILING], table[predictor], "o", color=KIND["model"], alpha=0.6, markersize=4, markeredgewidth=0)
    xlabel, beyond = "noise ceiling", _draw_beyond_depth(ax, scores, predictor)
    if len(beyond):
        xlabel += f"\nopen: beyond depth\n({SHORT_BOUND})"
    everywhere = gene_means(rows_of(scores, METRIC), predictor).dropna().index
    _draw_names(ax, table[table.index.isin(everywhere)].nlargest(n_names, predictor))
    ax.axline((0, 0), slope=1, color="black", linewidth=0.8, linestyle="--")
    ax.axhline(0, color="black", linewidth=0.6, zorder=0)
    shown = pd.concat([table, beyond])
    # 0 and 1 are always in view, and scores below 0 where there are some
    left, low = (float(min(0, shown[name].min())) - 0.03 for name in (CEILING, predictor))
    ax.set(xlim=(left, 1.03), ylim=(low, 1.03), aspect="equal")
    chart(ax, xlabel=xlabel, ylabel=f"{label_of(METRIC)}, {predictor}", title=f"{len(table)} genes")
    return ax


def _draw_beyond_depth(ax: Axes, scores: pd.DataFrame, predictor: str) -> pd.DataFrame:
    """Draw the genes beyond depth, and return ceiling and score of those that have both."""
    names = [CEILING, predictor]
    if not (scores["metric"] == BEYOND_DEPTH).any():
        return pd.DataFrame(columns=names, dtype=float)
    table = target_means(scores, BEYOND_DEPTH).reindex(columns=names).dropna()
    ax.plot(table[CEILING], table[predictor], "o", color=KIND["model"], markerfacecolor="none", alpha=0.6, markersize=4)
    return table


def _draw_names(ax: Axes, table: pd.DataFrame) -> None:
    """Name genes in a column above the line, where few dots are, the best on top, each with a line to its dot."""
    length = NAME_HEIGHT * len(table)
    top = min(0.99, float(table.iloc[:, 1].max()) + length)
    right = max(MOST_LEFT, top - length - NAME_HEIGHT)
    for i, (gene, (x, y)) in enumerate(zip(table.index, table.to_numpy(), strict=True)):
        ax.annotate(
            plot_text(gene),
            (x, y),
            xytext=(right, top - i * NAME_HEIGHT),
            ha="right",
            va="center",
            fontsize=FONT - 2,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#808080", "shrinkA": 1, "shrinkB": 2},
        )
