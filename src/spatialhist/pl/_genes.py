"""Genes on tissue, measured beside predicted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import spot_depth
from spatialhist._sdata.layers import get_layer
from spatialhist.pl._draw.gene_colors import Z_UNIT, ColorRange, color_ends, slide_values, z_scores
from spatialhist.pl._draw.gene_titles import gene_title
from spatialhist.pl._draw.panels import Panel, add_color_bars, draw_panel, draw_pictures, new_cells
from spatialhist.pl._draw.style import EXPRESSION, check_axes
from spatialhist.pl._draw.units import is_predicted, target_of, unit_of

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

SLIDES_PER_ROW = 2
SHAPE = "genes x slides x layers"


def genes(
    sdata: SpatialData,
    genes: str | Sequence[str],
    *,
    slides: str | Sequence[str] | None = None,
    layers: str | Sequence[str] = (_keys.LOG1P, _keys.PREDICTED),
    image: bool = True,
    color_range: ColorRange = "measured",
    slides_per_row: int = SLIDES_PER_ROW,
    cmap: str = EXPRESSION,
    axes: np.ndarray | None = None,
    table_key: str = _keys.TABLE,
) -> np.ndarray:
    """Draw genes on tissue, layer beside layer.

    Parameters
    ----------
    sdata
        The cohort.
    genes
        Names.
    slides
        Slide ids; all if None.
    layers
        What is drawn side by side, ``"X"`` for the counts.
    image
        Draw the H&E left of the layers of a slide.
    color_range
        ``"measured"``: from the 1st to the 99th percentile of what was measured, on all slides of the table and on those the
        model was trained on, so that a prediction that hardly varies looks as flat as it is. ``"shown"``:
        the same percentiles of what is drawn, ``"zscore"``: standard deviations from the mean of each slide and layer; both
        show patterns, of whatever size.
    slides_per_row
        Further slides of a gene go into further rows.
    cmap
        Name of a color map of matplotlib.
    axes
        Axes to draw into, one per gene, slide and layer, in this order, without H&E; those of a new figure if None.
    table_key
        Name of the table.

    Returns
    -------
    ndarray
        Axes ``(genes, slides, layers)``, drawn by :func:`squidpy.pl.spatial_scatter`. Layers in the same units share
        the color scale of a gene over all its slides; the color bar names the units. Spots without a value are gray.

        The title of a prediction gives its within-slide Pearson r with the measurements beside it, over all spots that have
        both; the verdict on the gene and its r on held-out groups, as the model was evaluated; and the share of spots whose
        out-of-distribution score is above 0.95, which is a twentieth on a slide like those of training. It says where the gene
        was not modeled.

    Raises
    ------
    KeyError
        If a gene, slide or layer is missing; the message lists what there is.
    ValueError
        If there is nothing to draw, the number of ``axes`` is another, or there is no such ``color_range``.

    Warns
    -----
    UserWarning
        If a layer of predictions holds nothing of a gene on a slide, since the gene was not in the panel of the fold
        (or of the model) that predicted it.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20)
    >>> sh.pp.log_normalize(sdata)
    >>> sh.pl.genes(sdata, sdata["table"].var_names[:2], layers="log1p").shape
    (2, 1, 1)
    """
    cohort = open_cohort(sdata, slides, table_key=table_key)
    names = [genes] if isinstance(genes, str) else list(genes)
    shown = [layers] if isinstance(layers, str) else list(layers)
    missing = [g for g in names if g not in cohort.table.var_names]
    if missing:
        raise KeyError(
            f"genes {missing} are not in table {table_key!r}, which has {list(cohort.table.var_names[:5])}, ..."
        )
    for layer in shown:
        get_layer(cohort.table, layer)
    if not names or not shown:
        raise ValueError(f"nothing to draw: genes={names}, layers={shown}")
    check_choice("color_range", color_range, ColorRange)
    panels = _panels(cohort.table, cohort.every_slide(), names, shown)
    _warn_of_not_modeled(panels)
    if color_range == "zscore":
        panels = np.vectorize(_z_scored, otypes="O")(panels)
    cells = _cells(panels, slides_per_row, image=image) if axes is None else check_axes(axes, panels.shape, SHAPE)
    every = open_cohort(sdata, table_key=table_key).every_slide()
    for gene, row, drawn in zip(names, panels, cells, strict=True):
        _draw_row(cohort.table, row, drawn, partial(color_ends, cohort.table, every, gene, how=color_range), cmap)
    return cells


def _panels(table: AnnData, slides: Sequence[Slide], names: list[str], layers: list[str]) -> np.ndarray:
    shape = (len(names), len(slides), len(layers))
    panels = np.empty(shape, dtype=object)
    depths = _depths(table, slides, layers)
    for i, j in np.ndindex(shape[:2]):
        gene, slide = names[i], slides[j]
        values = {layer: slide_values(table, slide, gene, layer) for layer in layers}
        for k, layer in enumerate(layers):
            empty = is_predicted(table, layer) and not np.isfinite(values[layer]).any()
            title = gene_title(table, slide, gene, layer, values, depths.get(layer))
            note = f"{gene} in layers[{layer!r}] of slide {slide.name!r}" if empty else ""
            panels[i, j, k] = Panel(slide, title, unit_of(table, layer), values[layer], note, layer)
    return panels


def _depths(table: AnnData, slides: Sequence[Slide], layers: list[str]) -> dict[str, np.ndarray | None]:
    """Depth of all spots, for each layer that is drawn beside what it predicts; None where nothing says how deep they are."""
    of = {layer: target_of(table, layer) for layer in layers}
    return {layer: spot_depth(table, slides, t) for layer, t in of.items() if t in layers and t != layer}


def _warn_of_not_modeled(panels: np.ndarray) -> None:
    notes = [panel.not_modeled for panel in panels.flat if panel.not_modeled]
    if notes:
        warnings.warn(
            f"not modeled, so that there is nothing to draw: {', '.join(notes)}. A fold models the genes of its panel: "
            "train with sh.tl.cross_validate(sdata, genes=[...]) to name the genes, or with always=[...] to add them to every panel",
            stacklevel=3,
        )


def _cells(panels: np.ndarray, per_row: int, *, image: bool) -> np.ndarray:
    """Axes of a new figure, with the H&E of every slide in it."""
    slides = [panel.slide for panel in panels[0, :, 0]]
    cells, pictures = new_cells(panels.shape, per_row, pictures=image and any(slide.has_image for slide in slides))
    for row in pictures:
        draw_pictures(row, slides[: len(row)])
    return cells


def _z_scored(panel: Panel) -> Panel:
    return replace(panel, values=z_scores(panel.values), unit=Z_UNIT)


def _draw_row(
    table: AnnData, row: np.ndarray, axes: np.ndarray, ends: Callable[..., tuple[float, float]], cmap: str
) -> None:
    """Draw a gene, and one color bar for the layers of the same units."""
    from matplotlib.colors import Normalize

    for unit in dict.fromkeys(panel.unit for panel in row.flat):
        alike = [(panel, ax) for panel, ax in zip(row.flat, axes.flat, strict=True) if panel.unit == unit]
        shown = np.concatenate([panel.values for panel, _ in alike])
        norm = Normalize(*ends([panel.layer for panel, _ in alike], shown))
        for panel, ax in alike:
            draw_panel(ax, table, panel, norm, cmap)
    add_color_bars(row, axes)
