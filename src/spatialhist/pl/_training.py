"""How networks were trained."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from spatialhist.pl._draw.style import CYCLE, FONT, chart, entry, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spatialhist.tl import CrossValidation


Curve = tuple[str, pd.DataFrame]
"""Fold, and loss by epoch of one of its networks."""


def training(cv: CrossValidation, *, ax: Axes | None = None) -> Axes:
    """Draw the training loss of every network of a cross-validation, one line per network.

    Parameters
    ----------
    cv
        What :func:`spatialhist.tl.cross_validate` returned.
    ax
        Axes to draw into; those of a new figure if None.

    Returns
    -------
    Axes
        Axes: loss against epoch, one color per model.

    Raises
    ------
    ValueError
        If no model of the run was trained by epochs.
    """
    from matplotlib.ticker import MaxNLocator

    logs = _logs(cv.folder)
    if not logs:
        names = [model.name for model in cv.models]
        raise ValueError(f"none of the models {names} was trained by epochs, so {cv.folder} holds no training log")
    ax = new_axes(ax, (5, 3.2))
    for color, (model, curves) in zip(cycle(CYCLE), logs.items(), strict=False):
        for i, (_, curve) in enumerate(curves):
            ax.plot(
                curve["epoch"], curve["loss"], color=color, linewidth=1, alpha=0.7, label=None if i else entry(model)
            )
    chart(ax, xlabel="epoch", ylabel="training loss", title=_title(logs))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=FONT - 1, frameon=False)
    return ax


def _title(logs: dict[str, list[Curve]]) -> str:
    """How many folds there are, and networks in each where a model averages several."""
    folds = len({fold for curves in logs.values() for fold, _ in curves})
    networks = max(map(len, logs.values())) // folds
    return f"one line per network, {folds} folds" + f" of {networks}" * (networks > 1)


def _logs(folder: Path) -> dict[str, list[Curve]]:
    """Loss by epoch, per model, fold and network."""
    found: dict[str, list[Curve]] = {}
    for path in sorted(folder.glob("folds/*/*/**/metrics.csv")):
        fold, model, *_ = path.relative_to(folder / "folds").parts
        found.setdefault(model, []).append((fold, pd.read_csv(path).dropna(subset="loss").sort_values("epoch")))
    return found
