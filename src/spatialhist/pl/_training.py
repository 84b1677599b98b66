"""How networks were trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from spatialhist.pl._style import CYCLE, FONT, chart, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Run(Protocol):
    """A run of :func:`spatialhist.tl.cross_validate`."""

    folder: Path
    manifest: dict


def training(cv: Run, *, ax: Axes | None = None) -> Axes:
    """Draw the training loss of every network of a cross-validation, one line a fold.

    Parameters
    ----------
    cv
        What :func:`spatialhist.tl.cross_validate` returned.
    ax
        Axes to draw into; those of a new figure if None.

    Returns
    -------
    Axes: loss against epoch, one colour a model.

    Raises
    ------
    ValueError
        If no model of the run was trained by epochs.
    """
    from matplotlib.ticker import MaxNLocator

    logs = _logs(Path(cv.folder))
    if not logs:
        names = [model["name"] for model in cv.manifest["identity"]["models"]]
        raise ValueError(f"none of the models {names} was trained by epochs, so {cv.folder} holds no training log")
    ax = new_axes(ax, (5, 3.2))
    for color, (model, curves) in zip(_cycle(len(logs)), logs.items(), strict=True):
        for i, curve in enumerate(curves):
            ax.plot(curve["epoch"], curve["loss"], color=color, linewidth=1, alpha=0.7, label=None if i else model)
    chart(ax, xlabel="epoch", ylabel="training loss", title=f"one line a fold ({max(map(len, logs.values()))} folds)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=FONT - 1, frameon=False)
    return ax


def _logs(folder: Path) -> dict[str, list[pd.DataFrame]]:
    """Loss by epoch, per model and fold."""
    found: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(folder.glob("folds/*/*/**/metrics.csv")):
        model = path.relative_to(folder / "folds").parts[1]
        found.setdefault(model, []).append(pd.read_csv(path).dropna(subset="loss").sort_values("epoch"))
    return found


def _cycle(n: int) -> list[str]:
    return [CYCLE[i % len(CYCLE)] for i in range(n)]
