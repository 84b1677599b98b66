"""Genes on tissue, measured beside predicted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys, metrics
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import spot_depth
from spatialhist._sdata.layers import get_layer
from spatialhist._sdata.values import as_numbers
from spatialhist.pl._draw.panels import Panel, add_color_bars, draw_panel, new_cells
from spatialhist.pl._draw.style import EXPRESSION, check_axes
from spatialhist.pl._draw.units import is_predicted, target_of, unit_of
from spatialhist.pl._out_of_distribution import FAR

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

SLIDES_PER_ROW = 3
FAR_SHARE = 0.5
"""Of a slide's spots: from there on predictions are also warned of when they are made."""
LIMITS = (1, 99)
"""Percentiles at which the colors end."""


def genes(
    sdata: SpatialData,
    genes: str | Sequence[str],
    *,
    slides: str | Sequence[str] | None = None,
    layers: str | Sequence[str] = (_keys.LOG1P, _keys.PREDICTED),
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
    slides_per_row
        Further slides of a gene go into further rows.
    cmap
        Name of a color map of matplotlib.
    axes
        Axes to draw into, one per gene, slide and layer, in this order; those of a new figure if None.
    table_key
        Name of the table.

    Returns
    -------
    ndarray
        Axes ``(genes, slides, layers)``, drawn by :func:`squidpy.pl.spatial_scatter`. Layers in the same units share
        the color scale of a gene over all its slides, from the 1st to the 99th percentile; the color bar names the
        units. Spots without a value are gray. A prediction's title gives its within-slide Pearson r with the
        measurements beside it, over all spots that have both, and says where most spots are unlike those of training,
        or that the gene was not modeled.

    Raises
    ------
    KeyError
        If a gene, slide or layer is missing; the message lists what there is.
    ValueError
        If there is nothing to draw, or the number of ``axes`` is another.

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
    panels = _panels(cohort.table, cohort.every_slide(), names, shown)
    _warn_of_not_modeled(panels)
    if axes is None:
        cells: Any = new_cells(panels.shape, slides_per_row)
    else:
        cells = check_axes(axes, panels.shape, "genes x slides x layers")
    for index, panel in np.ndenumerate(panels):
        norm = _norm([p for p in panels[index[0]].flat if p.unit == panel.unit])
        draw_panel(cells[index], cohort.table, panel, norm, cmap)
    for row, drawn in zip(panels, cells, strict=True):
        add_color_bars(row, drawn)
    return cells


def _panels(table: AnnData, slides: Sequence[Slide], names: list[str], layers: list[str]) -> np.ndarray:
    shape = (len(names), len(slides), len(layers))
    panels = np.empty(shape, dtype=object)
    depths = _depths(table, slides, layers)
    for i, j in np.ndindex(shape[:2]):
        gene, slide = names[i], slides[j]
        values = {layer: _values(table, slide, gene, layer) for layer in layers}
        for k, layer in enumerate(layers):
            empty = is_predicted(table, layer) and not np.isfinite(values[layer]).any()
            title = _title(table, slide, gene, layer, values, depths.get(layer), empty=empty)
            note = f"{gene} in layers[{layer!r}] of slide {slide.name!r}" if empty else ""
            panels[i, j, k] = Panel(slide, title, unit_of(table, layer), values[layer], note)
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
            UserWarning,
            stacklevel=3,
        )


def _title(
    table: AnnData,
    slide: Slide,
    gene: str,
    layer: str,
    values: dict[str, np.ndarray],
    depth: np.ndarray | None,
    *,
    empty: bool,
) -> str:
    """Gene, slide and layer; below, what the layer holds and how well it agrees with what was measured."""
    what = "predicted" if is_predicted(table, layer) else "measured"
    name = "" if layer == what else f" · {layer}"
    if empty:
        return f"{gene} · {slide.name}{name}\nnot modeled in this fold"
    far = _far(table, slide) if what == "predicted" else ""
    return f"{gene} · {slide.name}{name}\n{what}{_score(table, slide, layer, values, depth)}{far}"


def _far(table: AnnData, slide: Slide) -> str:
    """Say it in the picture, which travels without the warning, where most spots are unlike those of training."""
    if _keys.OUT_OF_DISTRIBUTION not in table.obs:
        return ""
    scores = as_numbers(table.obs[_keys.OUT_OF_DISTRIBUTION])[slide.rows]
    share = float((scores > FAR).mean()) if len(scores) else 0.0
    return f"\n{share:.0%} of spots unlike training" if share > FAR_SHARE else ""


def _values(table: AnnData, slide: Slide, gene: str, layer: str) -> np.ndarray:
    """Values of a slide's spots; NaN where nothing was measured or predicted."""
    column = table.var_names.get_loc(gene)
    part = get_layer(table, layer)[slide.rows][:, [column]]
    values = np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float32).ravel()
    if is_predicted(table, layer):
        return values
    known = slide.measured & slide.genes_measured[column]
    return np.where(known, values, np.float32(np.nan))


def _score(table: AnnData, slide: Slide, layer: str, values: dict[str, np.ndarray], depth: np.ndarray | None) -> str:
    """Both headlines of the gene on this slide: a correlation alone would not say how much of it is depth."""
    target = target_of(table, layer)
    if target not in values or target == layer:
        return ""
    known = np.isfinite(values[target]) & np.isfinite(values[layer])
    if known.sum() < 3:
        return ""
    both = values[target][known, None], values[layer][known, None]
    r = metrics.pearson(*both)[0]
    if not np.isfinite(r):
        return ""
    beyond = np.nan if depth is None else metrics.pearson_beyond_depth(*both, depth[slide.rows][known])[0]
    return f", r = {r:.2f}" + (f"\nr = {beyond:.2f} beyond depth" if np.isfinite(beyond) else "")


def _norm(panels: list[Panel]) -> Any:
    from matplotlib.colors import Normalize

    values = np.concatenate([p.values for p in panels])
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, LIMITS) if len(known) else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1)
