"""Values of spots on tissue: panels of a figure, drawn by squidpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.text import plot_text
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.geometry import copied_centers
from spatialhist.pl._draw.style import FONT, MISSING, picture, scale_bar
from spatialhist.pl._draw.tissue import draw_detail, fit_view, window_of

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

    from spatialhist._sdata.slide import Slide

PANEL_WIDTH, PANEL_HEIGHT = 2.4, 2.8
"""Inches; a panel has up to four lines above it."""
SPOT_SHARE = 0.8
"""Diameter of a spot in plots, relative to the spot spacing: the gaps between spots nearly close."""


@dataclass(frozen=True)
class Panel:
    """Values of the spots of one slide, for instance of a gene in a layer; those in the same unit share colors.

    Attributes
    ----------
    slide, title, unit
        Slide id, and what stands above the panel and beside its color bar.
    values
        Of the spots ``(n,)``; NaN is drawn gray.
    not_modeled
        What has no value since no model was trained on it, for a warning; empty where there are values.
    layer
        Where the values come from; empty for those of no layer.
    """

    slide: Slide
    title: str
    unit: str
    values: np.ndarray
    not_modeled: str = ""
    layer: str = ""


def new_cells(shape: tuple[int, ...], per_row: int, *, pictures: bool) -> tuple[np.ndarray, np.ndarray]:
    """Axes of a new figure: a gene's slides side by side, and below each other.

    Parameters
    ----------
    shape
        Genes, slides, layers.
    per_row
        Slides side by side.
    pictures
        Leave space for the H&E left of a slide's layers.

    Returns
    -------
    tuple[ndarray, ndarray]
        Axes of the layers, of this shape, and of the pictures ``(genes, slides)``, with no column where there are none.
    """
    import matplotlib.pyplot as plt

    genes, n, layers = shape
    per_row = min(n, max(1, per_row))
    lines = -(-n // per_row)
    per_slide = layers + pictures
    columns = per_row * per_slide
    size = (PANEL_WIDTH * columns + 0.7, PANEL_HEIGHT * lines * genes)
    _, grid = plt.subplots(lines * genes, columns, figsize=size, layout="constrained", squeeze=False)
    cells = grid.reshape(genes, lines * per_row, per_slide)
    for ax in cells[:, n:].flat:
        ax.remove()
    return cells[:, :n, int(pictures) :], cells[:, :n, : int(pictures)].reshape(genes, -1)


def draw_pictures(axes: Sequence[Axes], slides: Sequence[Slide]) -> None:
    """Draw the H&E of slides where their spots are; a slide without one leaves its place empty."""
    for ax, slide in zip(axes, slides, strict=True):
        if not slide.has_image:
            ax.set_axis_off()
            continue
        window = window_of(slide.xy, 2 * slide.spot_diameter_px)
        draw_detail(ax, slide.image(), window)
        picture(ax, f"H&E · {slide.name}")
        fit_view(ax, window)
        scale_bar(ax, slide.scale.mpp, spots=slide.xy)


def draw_panel(ax: Axes, table: AnnData, panel: Panel, norm: Any, cmap: str) -> None:
    """Draw one panel; squidpy gets a table of this slide and this gene, since it stumbles over further ones."""
    import anndata as ad

    with quiet():
        import squidpy as sq

    rows, name, diameter = panel.slide.rows, panel.slide.name, panel.slide.spot_diameter_px
    entry = table.uns[_keys.SPATIAL][name]
    one = ad.AnnData(
        panel.values[:, None],
        obs=table.obs[[_keys.REGION]].iloc[rows].astype(str).astype("category"),
        obsm={_keys.SPATIAL: copied_centers(table)[rows]},
        uns={_keys.SPATIAL: {name: entry}},
    )
    image = "images" in entry
    sq.pl.spatial_scatter(
        one,
        color=one.var_names[0],
        library_key=_keys.REGION,
        img=image,
        img_alpha=0.5 if image else None,
        # relative to the true diameter
        size=drawn_diameter(panel.slide) / diameter,
        cmap=cmap,
        norm=norm,
        na_color=MISSING,
        colorbar=False,
        ax=ax,
    )
    picture(ax, panel.title)
    factor = entry["scalefactors"]["tissue_hires_scalef"] if image else 1.0
    drawn = one.obsm[_keys.SPATIAL] * factor
    fit_view(ax, window_of(drawn, 2 * diameter * factor))
    scale_bar(ax, panel.slide.scale.mpp, pixel=1 / factor, spots=drawn)
    if panel.not_modeled:
        plate = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        ax.text(0.5, 0.5, "not modeled", transform=ax.transAxes, ha="center", va="center", fontsize=FONT, bbox=plate)


def drawn_diameter(slide: Slide) -> float:
    """Diameter of a spot in plots, in full-resolution pixels: its own where the spacing is not known."""
    pitch = slide.scale.pitch_px
    return SPOT_SHARE * pitch if pitch else slide.spot_diameter_px


def add_color_bars(panels: np.ndarray, axes: np.ndarray, *, extend: str = "both") -> None:
    """One bar per gene and unit; it has an arrow where values may lie beyond its end."""
    # each further bar takes its place left of those that are there
    units = list(dict.fromkeys(p.unit for p in panels.flat))[::-1]
    lines = len({ax.get_subplotspec().rowspan.start for ax in axes.flat if ax.get_subplotspec()}) or 1
    for unit in units:
        drawn = next(ax for p, ax in zip(panels.flat, axes.flat, strict=True) if p.unit == unit)
        bar = drawn.figure.colorbar(
            drawn.collections[0],
            ax=axes.ravel().tolist(),
            shrink=0.8,
            aspect=25 * lines,
            extend=extend,
            extendfrac=0.05 / lines,
        )
        bar.set_label(plot_text(unit), fontsize=FONT - 1)
        bar.ax.tick_params(labelsize=FONT - 2)
