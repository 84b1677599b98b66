"""What all pictures share: colors that color-blind readers tell apart, plain axes, scale bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.text import plot_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXPRESSION = "viridis"
MISSING = "#c8c8c8"
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colors."""
KIND = {"stack": CYCLE[1], "model": CYCLE[0], "baseline": "#808080", "oracle": CYCLE[2]}
"""Color of a kind of predictor."""
FONT = 9
CORNERS = {"lower left": (0, 0), "lower right": (1, 0), "upper left": (0, 1), "upper right": (1, 1)}
BAR_SHARE = (0.3, 0.2)
"""Width and height of a picture that a scale bar with its label takes at most."""


def new_axes(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """Return the axes that were passed, or those of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def check_axes(axes: Any, shape: tuple[int, ...], what: str) -> Any:
    """Give the axes that were passed the shape that is needed.

    Raises
    ------
    ValueError
        If their number is another.
    """
    if np.size(axes) != math.prod(shape):
        raise ValueError(f"{math.prod(shape)} axes are needed ({what} {shape}), got {np.size(axes)}")
    return np.reshape(axes, shape)


def chart(ax: Axes, *, xlabel: str, ylabel: str = "", title: str = "") -> None:
    """Label a chart and leave out what carries no information."""
    ax.set_xlabel(plot_text(xlabel), fontsize=FONT)
    ax.set_ylabel(plot_text(ylabel), fontsize=FONT)
    ax.set_title(plot_text(title), fontsize=FONT, loc="left")
    ax.tick_params(labelsize=FONT - 1)
    ax.spines[["top", "right"]].set_visible(False)


def picture(ax: Axes, title: str) -> None:
    """Make axes that show tissue: a title, no frame."""
    ax.set_title("")
    ax.set_title(plot_text(title), fontsize=FONT, loc="left")
    ax.set_axis_off()


def entry(name: str) -> str:
    """Name in a legend, which would leave out one that starts with an underscore."""
    return f" {plot_text(name)}" if name.startswith("_") else plot_text(name)


def scale_bar(ax: Axes, mpp: float | None, *, pixel: float = 1.0, spots: np.ndarray | None = None) -> None:
    """Draw a bar about a fifth as long as the picture is wide.

    Parameters
    ----------
    ax
        Axes whose limits are final.
    mpp
        Micrometers per full-resolution pixel; the bar is in pixels where it is None.
    pixel
        Full-resolution pixels per unit of the axes.
    spots
        Centers ``(n, 2)`` in units of the axes: the bar goes where it covers few of them, lower left if None.
    """
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    left, right = ax.get_xlim()
    unit = pixel * (mpp or 1.0)
    length = round_length(abs(right - left) * unit / 5)
    bar = AnchoredSizeBar(
        ax.transData,
        length / unit,
        length_label(length, mpp is not None),
        "lower left" if spots is None else _emptiest_corner(ax, spots),
        pad=0.3,
        borderpad=0.4,
        sep=2,
        size_vertical=abs(right - left) / 150,
        fontproperties={"size": FONT - 2},
    )
    bar.patch.set(alpha=0.75, linewidth=0)
    ax.add_artist(bar)


def _emptiest_corner(ax: Axes, xy: np.ndarray) -> str:
    """Lower left, or the corner with the fewest spots where these are at most half as many."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    place = (xy - (left, bottom)) / (right - left, top - bottom)
    covered = {name: (np.abs(place - corner) < BAR_SHARE).all(axis=1).sum() for name, corner in CORNERS.items()}
    usual = next(iter(CORNERS))
    emptiest = min(covered, key=lambda name: covered[name])
    return emptiest if 2 * covered[emptiest] <= covered[usual] else usual


def round_length(length: float) -> float:
    """Largest of 1, 2 and 5 times a power of ten that is not above ``length``."""
    power = 10.0 ** np.floor(np.log10(length))
    # a length that is 5 but for rounding is not taken for one below 5
    return float(power * max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def length_label(length: float, physical: bool) -> str:
    """Length with its unit: pixels, micrometers or millimeters."""
    if not physical:
        return f"{length:g} px"
    return f"{length / 1000:g} mm" if length >= 1000 else f"{length:g} µm"
