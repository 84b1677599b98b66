"""Annotations from features of QuPath, in every layout from version 0.2 on."""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.files import BROKEN, UNDECODABLE, intact

logger = logging.getLogger(__name__)

MAX_BYTES = 4_000_000_000
"""Of a file, unpacked: more is taken for one that unpacks without end."""
Feature = dict[str, Any]


@dataclass(frozen=True)
class Annotations:
    """Polygons that are named and classified.

    Attributes
    ----------
    polygons
        ``(n,)`` polygons and multipolygons in full-resolution pixels of the image.
    names, classes
        One each; None where there is none.
    """

    polygons: np.ndarray
    names: list[str | None]
    classes: list[str | None]

    def labels(self, xy: np.ndarray, polygons: np.ndarray) -> list[str | None]:
        """Class, or else name, of the smallest of the polygons, laid elsewhere, that holds each point."""
        import shapely

        said = [c if c is not None else n for c, n in zip(self.classes, self.names, strict=True)]
        label: list[str | None] = [None] * len(xy)
        point, polygon = shapely.STRtree(polygons).query(shapely.points(xy), predicate="intersects")
        for i in np.argsort(-shapely.area(polygons)[polygon], kind="stable"):
            label[point[i]] = said[polygon[i]] or label[point[i]]
        return label


def read_annotations(path: Path) -> Annotations:
    """Read the polygons of a file; points and lines are left out, with a warning.

    Raises
    ------
    ValueError
        If the file is no GeoJSON, has no polygon, or one that is broken.
    """
    from shapely.errors import ShapelyError

    says = "{path} is no GeoJSON ({error}): export it from QuPath, File > Export objects as GeoJSON"
    data = path.read_bytes()
    with intact(path, says, errors=UNDECODABLE):
        features = list(_features(json.loads(_unpacked(data))))
    areas: list[tuple[Feature, Any]] = []
    for number, feature in enumerate(features, 1):
        says = f"{{path}}: feature {number} is no polygon ({{error}}): draw it again, or remove it from the file"
        with intact(path, says, errors=(*BROKEN, ValueError, ShapelyError)):
            areas += [(feature, area) for area in _areas(feature["geometry"])]
    if not areas:
        raise ValueError(
            f"{path} has {len(features)} features and no polygon among them: draw areas, not points or lines"
        )
    if skipped := len(features) - len(areas):
        logger.warning("%s: left out %d of %d features, which are points or lines", path, skipped, len(features))
    about = [feature.get("properties") or {} for feature, _ in areas]
    with intact(path, says="{path} has a name or a classification that cannot be read ({error})"):
        names = [None if a.get("name") is None else str(a["name"]) for a in about]
        classes = [_class(a.get("classification")) for a in about]
    return Annotations(np.array([area for _, area in areas], dtype=object), names, classes)


def _unpacked(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    with gzip.open(io.BytesIO(data)) as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"it unpacks to more than {MAX_BYTES:,} bytes")
    return text


def _features(found: Any) -> Iterator[Feature]:
    """Features of a collection, a list, or one alone, with those that lie within others."""
    if isinstance(found, dict) and found.get("type") == "Feature":
        yield found
        yield from _features((found.get("properties") or {}).get("childObjects", []))
    elif isinstance(found, list) or (isinstance(found, dict) and "features" in found):
        for feature in found if isinstance(found, list) else found["features"]:
            yield from _features(feature)
    else:
        raise ValueError("it holds no features")


def _areas(geometry: dict[str, Any] | None) -> Iterator[Any]:
    """Polygon of a geometry, repaired where its outline crosses itself; nothing of points and lines."""
    import shapely
    from shapely.geometry import shape

    if geometry is None or geometry["type"] not in ("Polygon", "MultiPolygon", "GeometryCollection"):
        return
    drawn = shapely.force_2d(shape(geometry))
    if not np.isfinite(shapely.get_coordinates(drawn)).all():
        raise ValueError("not all of its coordinates are numbers")
    valid = (
        drawn if drawn.is_valid and drawn.geom_type != "GeometryCollection" else _polygons(shapely.make_valid(drawn))
    )
    if not valid.area > 0:
        raise ValueError("it encloses no area")
    yield valid


def _polygons(geometry: Any) -> Any:
    import shapely

    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _class(value: Any) -> str | None:
    """Name of a class: a text, an object with one or several names, or one below a parent, as before QuPath 0.4."""
    if value is None or isinstance(value, str):
        return value or None
    names = value.get("names") or [_class(value.get("parentClass")), value.get("name")]
    return ": ".join(str(name) for name in names if name) or None
