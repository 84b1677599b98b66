"""Where the spots of a slide lie, before and after realignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.alignment import alignment as placed_by
from spatialhist._sdata.alignment import alignment_scores
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.geometry import apply
from spatialhist._sdata.scale import slide_info
from spatialhist.pl._draw.style import CYCLE, FONT, new_axes, picture, scale_bar
from spatialhist.pl._draw.tissue import draw_detail, draw_outline, fit_view, window_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from spatialdata import SpatialData

OUTLINE, BEFORE, AFTER = CYCLE[2], CYCLE[1], "#000000"


def alignment(
    sdata: SpatialData,
    slide: str,
    *,
    image: str | None = None,
    ax: Axes | None = None,
    table_key: str = _keys.TABLE,
) -> Axes:
    """Draw a slide with the outline of its tissue and its spots, at their original and their current coordinates.

    Parameters
    ----------
    sdata
        The cohort.
    slide
        Slide id.
    image
        Image to draw: None for the H&E image, ``"normalized"``, ``"masked"``, or a key with ``{slide}`` for the id.
    ax
        Axes to draw into; those of a new figure if None.
    table_key
        Name of the table.

    Returns
    -------
    Axes
        Axes, in the slide's coordinate system (full-resolution pixels), with a scale bar. The title says what
        :func:`spatialhist.pp.realign` found.

    Raises
    ------
    KeyError
        If there is no such slide or image.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> sh.pl.alignment(sdata, "S1").get_title(loc="left")
    'S1: not realigned'
    """
    cohort = open_cohort(sdata, slide, table_key=table_key)
    opened = cohort.slide(slide)
    shown = opened.image(image)
    ax = new_axes(ax, (5, 4.4))
    tissue = draw_outline(ax, opened, OUTLINE)
    scale = opened.scale
    matrix = placed_by(sdata, slide)
    after = opened.xy
    before = apply(np.linalg.inv(matrix), after)
    moved = not np.array_equal(matrix, np.eye(3))
    for centers, color in [(before, BEFORE)] * moved + [(after, AFTER)]:
        _draw_spots(ax, centers, opened.spot_diameter_px, color)
    _draw_legend(ax, moved=moved, outlined=len(tissue) > 0)
    window = window_of(np.concatenate([before, after, tissue]), 2 * opened.spot_diameter_px)
    draw_detail(ax, shown, window)
    fit_view(ax, window)
    shift = float(np.nanmean(np.linalg.norm(after - before, axis=1)))
    picture(ax, _title(slide, slide_info(sdata, slide).get("alignment_report", {}), shift, scale.pitch_px))
    scale_bar(ax, scale.mpp)
    return ax


def _draw_spots(ax: Axes, centers: np.ndarray, diameter: float, color: str) -> None:
    from matplotlib.collections import EllipseCollection

    size = np.full(len(centers), diameter)
    ax.add_collection(
        EllipseCollection(
            size,
            size,
            np.zeros(len(centers)),
            units="xy",
            offsets=centers,
            offset_transform=ax.transData,
            facecolors="none",
            edgecolors=color,
            linewidths=0.7,
        ),
        autolim=False,
    )


def _draw_legend(ax: Axes, *, moved: bool, outlined: bool) -> None:
    from matplotlib.lines import Line2D

    def circle(color: str, label: str) -> Line2D:
        return Line2D([], [], marker="o", linestyle="", markerfacecolor="none", markeredgecolor=color, label=label)

    handles = [circle(BEFORE, "spots as read")] * moved + [circle(AFTER, "spots now" if moved else "spots")]
    handles += [Line2D([], [], color=OUTLINE, label="tissue")] * outlined
    ax.legend(
        handles=handles, fontsize=FONT - 1, loc="upper left", bbox_to_anchor=(0, 0), ncols=3, frameon=False, borderpad=0
    )


def _title(slide: str, report: dict[str, Any], shift: float, pitch: float | None) -> str:
    if not report:
        return f"{slide}: not realigned"
    found = alignment_scores(report)
    scores = f", {found[0]} {found[1]:.2f} → {found[2]:.2f}" if found else ""
    if not report["accepted"]:
        return f"{slide}: left in place{scores}"
    return f"{slide}: moved by {shift / pitch:.2f} spot spacings{scores}" if pitch else f"{slide}: moved{scores}"
