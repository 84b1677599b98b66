"""A slide before and after stain normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.scale import slide_info
from spatialhist.pl._draw.style import FONT, check_axes, picture, scale_bar
from spatialhist.pl._draw.tissue import draw_detail, draw_overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide
    from spatialhist.pl._draw.tissue import Window

DETAIL_PITCHES = 4.0


def stain(
    sdata: SpatialData,
    slide: str,
    *,
    image: str = "normalized",
    axes: np.ndarray | None = None,
    table_key: str = _keys.TABLE,
) -> np.ndarray:
    """Draw a slide before and after stain normalization: all of it, and four spot spacings in the middle of its spots.

    Parameters
    ----------
    sdata
        The cohort.
    slide
        Slide id.
    image
        The normalized image: ``"normalized"``, or a key with ``{slide}`` for the slide id.
    axes
        Four axes to draw into, in the order of what is returned; those of a new figure if None.
    table_key
        Name of the table.

    Returns
    -------
    ndarray
        Axes ``(2, 2)``: rows before and after, columns slide and detail. Where the stain was fitted by its
        vectors, swatches show hematoxylin and eosin at an optical density of 1 (natural logarithm).

    Raises
    ------
    KeyError
        If there is no such slide or image; the message names the call that makes it.
    ValueError
        If the number of ``axes`` is not four.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.normalize_stain(sdata)
    >>> sh.pl.stain(sdata, "S1").shape
    (2, 2)
    """
    import matplotlib.pyplot as plt

    cohort = open_cohort(sdata, slide, table_key=table_key)
    entry: dict[str, Any] = slide_info(sdata, slide).get("stain", {})
    opened = cohort.slide(slide)
    after, before = opened.image(image), opened.image(entry.get("image"))
    side = opened.scale.px(_detail(opened), slide)
    window = _window(opened.xy, side)
    if axes is None:
        _, cells = plt.subplots(2, 2, figsize=(6, 5), layout="constrained")
    else:
        cells = check_axes(axes, (2, 2), "before and after x slide and detail")
    titles = (f"{slide}: before", f"{slide}: after{_method(entry)}")
    for row, shown, title in zip(cells, (before, after), titles, strict=True):
        draw_overview(row[0], shown)
        draw_detail(row[1], shown, window)
        picture(row[0], title)
        picture(row[1], "detail")
        for ax in row:
            scale_bar(ax, opened.scale.mpp)
    for row, name in zip(cells, ("source", "target"), strict=True):
        if "stain_matrix" in entry.get(name, {}):
            _draw_swatches(row[1], entry[name])
    return cells


def _detail(slide: Slide) -> tuple[str, float]:
    """Side of the detail; a slide of one spot has no spot spacing."""
    return ("pitch", DETAIL_PITCHES) if slide.scale.pitch_px else ("px", 4 * slide.spot_diameter_px)


def _window(centers: np.ndarray, side: float) -> Window:
    """Square around the spot that is nearest to the middle of all."""
    middle = np.median(centers, axis=0)
    x, y = centers[np.argmin(np.linalg.norm(centers - middle, axis=1))]
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def _method(entry: dict[str, Any]) -> str:
    if not entry:
        return ""
    if not entry["applied"]:
        return f", unchanged ({entry['reason']})"
    return f" ({entry['method']}, {entry['reference']})"


def _draw_swatches(ax: Axes, reference: dict[str, Any]) -> None:
    from matplotlib.patches import Rectangle

    vectors = np.asarray(reference["stain_matrix"])[:, :2].T
    # what glass becomes behind one unit of a stain, by the law of Lambert and Beer
    colors = (np.asarray(reference["white_point"]) * np.exp(-vectors) / 255).clip(0, 1)
    for i, (name, color) in enumerate(zip("HE", colors, strict=True)):
        patch = Rectangle((1.03, 0.82 - 0.2 * i), 0.12, 0.16, transform=ax.transAxes, facecolor=color, clip_on=False)
        ax.add_patch(patch)
        ax.text(1.09, 0.9 - 0.2 * i, name, transform=ax.transAxes, ha="center", va="center", fontsize=FONT)
