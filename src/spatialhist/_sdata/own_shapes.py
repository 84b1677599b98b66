"""Which shapes are the spots of a slide: those of its name, or circles of the cells that its labels show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spatialhist import _keys

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData


def spots_key(sdata: SpatialData, slide: str) -> str:
    """Key in ``sdata.shapes`` of the spots of a slide."""
    circles = _keys.circles(slide)
    return circles if slide not in sdata.shapes and circles in sdata.shapes else slide


def has_shapes(sdata: SpatialData, slide: str) -> bool:
    """Whether a slide has spots in ``sdata.shapes``."""
    return spots_key(sdata, slide) in sdata.shapes


def spots_of(sdata: SpatialData, slide: str) -> GeoDataFrame:
    """Circles, squares or polygons of the spots of a slide."""
    return sdata.shapes[spots_key(sdata, slide)]


def spots_name(sdata: SpatialData, slide: str) -> str:
    """How a user reaches the spots of a slide."""
    return f"sdata.shapes[{spots_key(sdata, slide)!r}]"
