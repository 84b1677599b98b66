"""Where spots lie in pixels, and which points lie in polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.coordinates import length_factor, place_by_spots
from spatialhist._sdata.images import affine, image_size, small_copy
from spatialhist._sdata.own_shapes import spots_name, spots_of
from spatialhist._sdata.spots_on_image import is_grave, misfit, should_be_inside
from spatialhist._sdata.values import as_ids

if TYPE_CHECKING:
    from anndata import AnnData
    from geopandas import GeoDataFrame
    from spatialdata import SpatialData

ARCS = 6
"""Straight lines that draw a quarter of a circle."""


def spot_centers(sdata: SpatialData, table: AnnData, slide: str) -> np.ndarray:
    """Spot centers ``(n, 2)`` as (x, y) in the slide's coordinate system, in the order of the table's rows.

    The place of a square or a polygon is its centroid.
    """
    shapes, name = spots_of(sdata, slide), spots_name(sdata, slide)
    return apply(affine(shapes, slide, name), places(shapes)[_rows_of_shapes(shapes, table, slide, name)])


def spot_outlines(sdata: SpatialData, table: AnnData, slide: str) -> np.ndarray:
    """Outlines of spots ``(n,)`` as polygons in the slide's coordinate system, in the order of the table's rows."""
    import shapely

    shapes, name = spots_of(sdata, slide), spots_name(sdata, slide)
    outlines = shapes.geometry.to_numpy()
    if (points := (shapes.geom_type == "Point").to_numpy()).any():
        circles = shapely.buffer(outlines, _radius(shapes, slide), quad_segs=ARCS)
        outlines = np.where(points, circles, outlines)
    to_slide, rows = affine(shapes, slide, name), _rows_of_shapes(shapes, table, slide, name)
    return np.asarray(shapely.transform(outlines[rows], lambda xy: apply(to_slide, xy)))


def _rows_of_shapes(shapes: GeoDataFrame, table: AnnData, slide: str, name: str) -> np.ndarray:
    """Position in the shapes of every spot of a slide in the table."""
    ids = table.obs[_keys.INSTANCE][(table.obs[_keys.REGION] == slide).to_numpy(dtype=bool)]
    _check_index(shapes.index, name)
    row = positions_of(ids, shapes.index)
    if (row < 0).any():
        raise ValueError(
            f"{(row < 0).sum()} spots of slide {slide!r} are in the table but not in its shapes: obs[{_keys.INSTANCE!r}] "
            f"holds {list(ids[row < 0][:3])}, the index of {name} {list(shapes.index[:3])}: both must "
            "hold the same ids"
        )
    return row


def _check_index(index: pd.Index, name: str) -> None:
    """Refuse shapes of which several have one id, so that a row of the table is not one spot."""
    twice = index[index.duplicated()]
    if len(twice):
        raise ValueError(
            f"the index of {name} holds {len(twice)} ids more than once, e.g. {twice[0]}: give every spot an id of its own, "
            f"or keep the first of each, {name} = {name}[~{name}.index.duplicated()]"
        )


def places(shapes: GeoDataFrame) -> np.ndarray:
    """Centers of circles, centroids of squares and polygons of cells ``(n, 2)``, in their own coordinates."""
    # points are their own centroids, which would be computed for every bin
    points = shapes.geometry if (shapes.geom_type == "Point").all() else shapes.geometry.centroid
    return np.column_stack([points.x.to_numpy(), points.y.to_numpy()])


def areas_of_spots(sdata: SpatialData, slide: str) -> pd.Series:
    """Area of every shape of a slide in square pixels of the slide, by the index of the shapes.

    Raises
    ------
    ValueError
        If shapes are points without a radius.
    """
    shapes, name = spots_of(sdata, slide), spots_name(sdata, slide)
    area = shapes.geometry.area.to_numpy()
    points = (shapes.geom_type == "Point").to_numpy()
    if points.any():
        area = np.where(points, np.pi * _radius(shapes, slide) ** 2, area)
    return pd.Series(area * length_factor(affine(shapes, slide, name)) ** 2, index=shapes.index)


def _radius(shapes: GeoDataFrame, slide: str) -> np.ndarray:
    if "radius" not in shapes:
        raise ValueError(
            f"shapes {slide!r} have no radius, in pixels: spots are circles. Give them one, "
            f"sdata.shapes[{slide!r}]['radius'] = 25.0"
        )
    return np.asarray(shapes["radius"], dtype=float)


def positions_of(ids: pd.Series, index: pd.Index) -> np.ndarray:
    """Position of each id in an index, -1 where it is not there; 7 and "7" are the same id."""
    wanted, there = as_ids(ids), as_ids(index)
    if wanted.dtype != there.dtype:
        wanted, there = wanted.astype(str), there.astype(str)
    return there.get_indexer(wanted)


def has_spots(table: AnnData) -> bool:
    """Whether the rows of a table are spots of slides, as the main table's are."""
    return {_keys.REGION, _keys.INSTANCE} <= set(table.obs)


def copied_centers(table: AnnData) -> np.ndarray:
    """Spot centers of every row ``(n, 2)`` in ``obsm["spatial"]``, the copy for squidpy and scanpy."""
    return np.asarray(table.obsm[_keys.SPATIAL], dtype=float)[:, :2]


def spot_pixels(sdata: SpatialData, table: AnnData, slide: str, image: str) -> np.ndarray:
    """Spot centers ``(n, 2)`` as (x, y) in full-resolution pixels of an image, in the order of the table's rows.

    Raises
    ------
    ValueError
        If spots and image do not belong together: more than a tenth of the spots lie outside.
    """
    to_pixels = np.linalg.inv(affine(sdata.images[image], slide, f"sdata.images[{image!r}]"))
    xy = apply(to_pixels, spot_centers(sdata, table, slide))
    check_on_image(sdata, table, slide, image, xy)
    return xy


def check_on_image(sdata: SpatialData, table: AnnData, slide: str, image: str, xy: np.ndarray) -> None:
    """Refuse a slide of which more than a tenth of the spots, given in pixels of an image, lie outside of it.

    Raises
    ------
    ValueError
        Naming the likely mistake.
    """
    size, compared = image_size(sdata.images[image]), xy[compared_spots(table, slide)]
    if is_grave(compared, size):
        raise ValueError(misfit(compared, size, slide, image, small=small_copy(sdata, slide, image)))


def compared_spots(table: AnnData, slide: str) -> np.ndarray:
    """Boolean per spot of a slide: it should lie on the slide's image."""
    obs = table.obs[(table.obs[_keys.REGION] == slide).to_numpy(dtype=bool)]
    return should_be_inside(obs.get(_keys.IN_TISSUE), len(obs))


def apply(matrix: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Apply a 3x3 affine matrix to points ``(n, 2)``."""
    return xy @ matrix[:2, :2].T + matrix[:2, 2]


def inside(sdata: SpatialData, slide: str, to_slide: np.ndarray, points: np.ndarray, region: str) -> np.ndarray:
    """Boolean per point: it lies in one of the polygons of an element, by their place on a slide.

    Parameters
    ----------
    sdata
        The object.
    slide
        Slide id.
    to_slide
        3x3 matrix from the points to the slide.
    points
        ``(n, 2)`` as (x, y).
    region
        Key of the polygons in ``sdata.shapes``.

    Raises
    ------
    KeyError, ValueError
        If there is no such element, or it holds something else.
    """
    import shapely

    if region not in sdata.shapes:
        raise KeyError(f"within={region!r} is not 'tissue', 'image' or polygons in sdata.shapes: {list(sdata.shapes)}")
    shapes = sdata.shapes[region]
    if not set(shapes.geom_type) <= {"Polygon", "MultiPolygon"}:
        raise ValueError(f"within={region!r} holds {sorted(set(shapes.geom_type))}: want polygons")
    place_by_spots(sdata, shapes, slide)
    to_region = np.linalg.inv(affine(shapes, slide, f"sdata.shapes[{region!r}]")) @ to_slide
    return np.asarray(shapely.contains_xy(shapes.union_all(), apply(to_region, points)))
