"""Which shapes are the spots of a slide: those of its name, or circles of the cells that its labels show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from spatialhist import _keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData


def spots_key(sdata: SpatialData, slide: str) -> str:
    """Key in ``sdata.shapes`` of the spots of a slide."""
    circles = _keys.circles(slide)
    return circles if slide not in sdata.shapes and circles in sdata.shapes else slide


def circles(xy: np.ndarray, diameter: Any, ids: Any, placed: Mapping[str, Any]) -> GeoDataFrame:
    """Spots as the shapes of spatialdata: circles of one diameter or of one each, placed by their transformations."""
    from spatialdata.models import ShapesModel

    index = pd.Index(ids, name=_keys.INSTANCE)
    return ShapesModel.parse(xy, geometry=0, radius=diameter / 2, index=index, transformations=dict(placed))


def has_shapes(sdata: SpatialData, slide: str) -> bool:
    """Whether a slide has spots in ``sdata.shapes``."""
    return spots_key(sdata, slide) in sdata.shapes


def spots_of(sdata: SpatialData, slide: str) -> GeoDataFrame:
    """Circles, squares or polygons of the spots of a slide."""
    return sdata.shapes[spots_key(sdata, slide)]


def spots_name(sdata: SpatialData, slide: str) -> str:
    """How a user reaches the spots of a slide."""
    return f"sdata.shapes[{spots_key(sdata, slide)!r}]"
