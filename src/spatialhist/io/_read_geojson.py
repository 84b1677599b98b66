"""Annotations that were drawn in QuPath."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.cohort import open_images
from spatialhist._sdata.geometry import apply
from spatialhist._sdata.layers import check_key, record
from spatialhist.io._geojson.annotations import read_annotations
from spatialhist.io._geojson.one_slide import one_slide

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import SlideImage

logger = logging.getLogger(__name__)


def read_geojson(
    sdata: SpatialData,
    path: str | Path,
    *,
    slide: str | None = None,
    key_added: str = "annotations",
    table_key: str = _keys.TABLE,
) -> None:
    """Read annotations or detections of QuPath as polygons on a slide, and label the spots that they hold.

    Parameters
    ----------
    sdata
        Object with the slide and its image.
    path
        GeoJSON of QuPath, compressed or not: a collection of features, a list, or one alone.
    slide
        Slide id; may be left out where there is one slide.
    key_added
        Name of the polygons and of the column of labels.
    table_key
        Table of the spots that are labeled, if there are any.

    Returns
    -------
    None
        Added:

        - ``shapes[key_added]``: polygons and multipolygons with their holes in the slide's coordinate system, with the
          columns ``name`` and ``classification``, which :func:`spatialhist.tl.predict_grid` takes as ``within=key_added``;
        - ``obs[key_added]``: for spots of the slide whose center lies in a polygon its classification, or its name where
          it has none; of several polygons the smallest one counts.

    Raises
    ------
    KeyError
        If the slide or its image is missing.
    ValueError
        If the file is no GeoJSON, has no polygon or a broken one, or none that touches the image, if there are several
        slides and none is chosen, or if the key is taken.

    Notes
    -----
    QuPath counts full-resolution pixels of its image, so that image has to be the one that the slide was read from.
    Points and lines are left out; outlines that cross themselves are repaired.

    See Also
    --------
    write_geojson : Show spots in QuPath.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> ring = [[50, 40], [250, 40], [250, 260], [50, 260], [50, 40]]
    >>> feature = {
    ...     "type": "Feature",
    ...     "geometry": {"type": "Polygon", "coordinates": [ring]},
    ...     "properties": {"classification": {"name": "Tumor", "color": [200, 0, 0]}},
    ... }
    >>> path = Path(tempfile.mkdtemp()) / "drawn.geojson"
    >>> _ = path.write_text(json.dumps([feature]))
    >>> sh.io.read_geojson(sdata, path)
    >>> sdata["annotations"]["classification"].tolist()
    ['Tumor']
    """
    from geopandas import GeoDataFrame
    from spatialdata.models import ShapesModel
    from spatialdata.transformations import Identity

    path = Path(path)
    cohort = open_images(sdata, slide, table_key=table_key)
    opened = cohort.slide(one_slide(cohort.slides))
    _check_free(key_added, [*(name for _, name, _ in sdata.gen_elements()), *cohort.table.obs])
    image, drawn = opened.image(), read_annotations(path)
    polygons = _on_slide(drawn.polygons, image, path)
    columns = {"name": drawn.names, "classification": drawn.classes}
    shapes = ShapesModel.parse(GeoDataFrame(columns, geometry=polygons), transformations={opened.name: Identity()})
    labels = drawn.labels(opened.xy, polygons) if len(opened.rows) else []
    sdata.shapes[key_added] = shapes
    if labels:
        _label(cohort.table, opened.rows, labels, key_added)
        record(cohort.table, key_added, {"step": "read_geojson", "slide": opened.name, "file": path.name})
    logger.info("read %d polygons from %s: added shapes[%r]", len(polygons), path, key_added)


def _check_free(key: str, taken: list[str]) -> None:
    check_key(key)
    if key in taken:
        raise ValueError(f"key_added={key!r} is taken by an element or a column of obs: choose another name")


def _on_slide(polygons: np.ndarray, image: SlideImage, path: Path) -> np.ndarray:
    """Polygons of an image in the slide's coordinate system.

    Raises
    ------
    ValueError
        If none touches the image.
    """
    import shapely

    pyramid = image.pyramid
    if not shapely.intersects(polygons, shapely.box(0, 0, pyramid.width, pyramid.height)).any():
        left, top, right, bottom = shapely.total_bounds(polygons)
        raise ValueError(
            f"{path}: no polygon touches image {pyramid.key!r} of {pyramid.width} x {pyramid.height} pixels; they reach from "
            f"({left:g}, {top:g}) to ({right:g}, {bottom:g}). Draw on the file that the slide was read from, or choose "
            "another slide="
        )
    return np.asarray(shapely.transform(polygons, lambda xy: apply(image.to_slide, xy)))


def _label(table: AnnData, rows: np.ndarray, labels: list[str | None], key: str) -> None:
    import pandas as pd

    column = np.full(table.n_obs, None, dtype=object)
    column[rows] = labels
    table.obs[key] = pd.Categorical(column)
