"""The two panels, empty: the page fills them by the names of their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spatialhist.report._explore_page.views import FAR, MEASURED, RESIDUAL

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, Range1d
    from bokeh.plotting import figure

SIDES = ("left", "right")
RASTER = ("image", "x", "y", "width", "height")
DIVERGING = "RdBu"
"""Palette of residuals; those of expression and of out-of-distribution scores are the ones of `pl`."""
CLEAR, DIM = "rgba(0, 0, 0, 0)", "rgba(255, 255, 255, 0.7)"
"""Where nothing is known, and what is not selected, where values are shown as an image."""
BORDER = "#d5d9de"


def palettes() -> dict[str, list[str]]:
    """Colors from low to high, by kind of view; those of other kinds are the first."""
    from bokeh import palettes as known

    diverging = known.interp_palette(known.all_palettes[DIVERGING][11], 256)
    return {MEASURED: list(known.Viridis256), RESIDUAL: list(diverging), FAR: list(known.Plasma256)}


@dataclass(frozen=True)
class Shared:
    """What both panels show, so that pan, zoom and selection are those of both."""

    x: Range1d
    y: Range1d
    spots: ColumnDataSource
    picture: ColumnDataSource
    veil: ColumnDataSource


def panels() -> list[figure]:
    """The left and the right panel, in one window."""
    from bokeh.models import Range1d

    shared = Shared(
        Range1d(0, 1, name="x"),
        Range1d(-1, 0, name="y"),
        _source("spots", "x", "y", *SIDES),
        _source("picture", "url", "width", "height"),
        _source("veil", *RASTER),
    )
    return [_panel(side, shared) for side in SIDES]


def _source(name: str, *columns: str) -> ColumnDataSource:
    """Nothing yet."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource({column: [] for column in columns}, name=name)


def _panel(side: str, shared: Shared) -> figure:
    from bokeh.plotting import figure

    panel = figure(
        x_range=shared.x, y_range=shared.y, tools=_tools(side), active_scroll="auto", toolbar_location=None, name=side,
        sizing_mode="stretch_both", min_border=0, outline_line_color=BORDER, lod_threshold=None,
    )  # fmt: skip
    panel.axis.visible, panel.grid.visible = False, False
    panel.image_url("url", x=0, y=0, w="width", h="height", anchor="top_left", source=shared.picture)
    _add_values(panel, side, shared)
    panel.add_layout(_scale_bar(side, shared))
    return panel


def _add_values(panel: figure, side: str, shared: Shared) -> None:
    """Spots as circles, or, where they are too many, as an image with a veil over what is not selected."""
    from bokeh.models import LinearColorMapper

    colors = LinearColorMapper(palette=palettes()[MEASURED], low=0, high=1, nan_color=CLEAR, name=f"{side}_colors")
    fill: Any = {"field": side, "transform": colors}
    panel.circle(
        "x", "y", radius=1, source=shared.spots, fill_color=fill, line_color=None, name=f"{side}_spots",
        nonselection_fill_color=fill, nonselection_line_color=None, selection_fill_color=fill, selection_line_color=None,
    )  # fmt: skip
    place = {"x": "x", "y": "y", "dw": "width", "dh": "height"}
    own, veil = _source(f"{side}_raster_data", *RASTER), LinearColorMapper(palette=[CLEAR, DIM], low=0, high=1)
    panel.image("image", **place, source=own, color_mapper=colors, name=f"{side}_raster")
    panel.image("image", **place, source=shared.veil, color_mapper=veil)


def _tools(side: str) -> list[Any]:
    from bokeh.models import BoxSelectTool, LassoSelectTool, PanTool, WheelZoomTool

    # Bokeh selects nothing itself: where values are an image, it knows of no spots
    own: Any = {"renderers": [], "continuous": False}
    return [
        PanTool(name=f"{side}_pan"),
        WheelZoomTool(name=f"{side}_zoom"),
        BoxSelectTool(name=f"{side}_box", **own),
        LassoSelectTool(name=f"{side}_lasso", **own),
    ]


def _scale_bar(side: str, shared: Shared) -> Any:
    from bokeh.models import MetricLength, ScaleBar

    return ScaleBar(
        range=shared.x, unit="µm", dimensional=MetricLength(), name=f"{side}_bar", location="bottom_left", margin=8,
        background_fill_alpha=0.8, border_line_color=None, label_text_font_size="12px",
    )  # fmt: skip
