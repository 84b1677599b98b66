"""Where spots lie in pixels, and which points lie in polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.images import affine

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData


def spot_centers(sdata: SpatialData, table: AnnData, slide: str) -> np.ndarray:
    """Spot centers ``(n, 2)`` as (x, y) in the slide's coordinate system, in the order of the table's rows."""
    shapes = sdata.shapes[slide]
    ids = table.obs[_keys.INSTANCE][(table.obs[_keys.REGION] == slide).to_numpy()]
    row = shapes.index.get_indexer(ids)
    if (row < 0).any():
        lost = list(ids[row < 0][:3])
        raise ValueError(
            f"{(row < 0).sum()} spots of slide {slide!r} are in the table but not in its shapes, e.g. {lost}; "
            f"obs['spot_id'] is {ids.dtype}, the shapes' index {shapes.index.dtype}: both must hold the same ids"
        )
    if not (shapes.geom_type == "Point").all():
        raise ValueError(
            f"shapes {slide!r} hold {sorted(set(shapes.geom_type.astype(str)))}, not the circles (points with a radius) "
            "that spots are: make them from the centroids with spatialdata.to_circles"
        )
    xy = np.column_stack([shapes.geometry.x.to_numpy(), shapes.geometry.y.to_numpy()])[row]
    return apply(affine(shapes, slide), xy)


def spot_pixels(sdata: SpatialData, table: AnnData, slide: str, image: str) -> np.ndarray:
    """Spot centers ``(n, 2)`` as (x, y) in full-resolution pixels of an image, in the order of the table's rows."""
    to_pixels = np.linalg.inv(affine(sdata.images[image], slide))
    return apply(to_pixels, spot_centers(sdata, table, slide))


def apply(matrix: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Apply a 3x3 affine matrix to points ``(n, 2)``."""
    return xy @ matrix[:2, :2].T + matrix[:2, 2]


def lattice_pitch(xy: np.ndarray) -> float | None:
    """Distance between neighbors on a lattice: the median distance to the nearest other point."""
    from scipy.spatial import cKDTree

    points = np.unique(xy[np.isfinite(xy).all(axis=1)], axis=0)
    if len(points) < 2:
        return None
    distance, _ = cKDTree(points).query(points, k=2)
    return float(np.median(distance[:, 1]))


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
    to_region = np.linalg.inv(affine(shapes, slide)) @ to_slide
    return np.asarray(shapely.contains_xy(shapes.union_all(), apply(to_region, points)))
