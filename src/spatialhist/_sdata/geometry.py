"""Where spots lie in pixels, how large a pixel is, and how spots were realigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.images import affine

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.cohort import Cohort


@dataclass(frozen=True)
class Scale:
    """Physical scale of a slide.

    Attributes
    ----------
    mpp
        Micrometers per full-resolution pixel, None where unknown.
    pitch_px
        Distance of neighboring spots in full-resolution pixels, None for a single spot.
    spot_diameter_px
        Diameter of a spot in full-resolution pixels, None for a slide without spots.
    """

    mpp: float | None
    pitch_px: float | None
    spot_diameter_px: float | None

    def px(self, extent: tuple[str, float], slide: str) -> float:
        """Length in full-resolution pixels of ``("um" | "pitch" | "px", value)``.

        Raises
        ------
        TypeError
            If it is no pair of a unit and a number.
        ValueError
            If the length is not positive, the unit is unknown, or the slide lacks what it needs.
        """
        if not (isinstance(extent, Sequence) and len(extent) == 2 and isinstance(extent[1], Real)):
            raise TypeError(f"{extent!r} is no length: give a unit and a number, as in ('pitch', 1.5)")
        unit, value = extent
        if not 0 < value < np.inf:
            raise ValueError(f"{extent!r} of slide {slide!r} must be a positive length")
        if unit == "px":
            return float(value)
        if unit == "um":
            if self.mpp is None:
                raise ValueError(
                    f"slide {slide!r} has no mpp, so {value} um has no length in pixels: set "
                    f"sdata.attrs['spatialhist']['slides'][{slide!r}]['mpp'], or give the extent in ('pitch', ...)"
                )
            return value / self.mpp
        if unit == "pitch":
            if self.pitch_px is None:
                raise ValueError(
                    f"slide {slide!r} has a single spot, so no pitch: give {value} in ('um', ...) or ('px', ...)"
                )
            return value * self.pitch_px
        raise ValueError(f"unit {unit!r} of extent {extent!r} is not one of 'um', 'pitch', 'px'")


def slide_info(sdata: SpatialData, slide: str) -> dict[str, Any]:
    """Entry of a slide in ``sdata.attrs``, created where missing; change it in place."""
    root = sdata.attrs.setdefault(_keys.ROOT, {})
    return root.setdefault("slides", {}).setdefault(slide, {})


def scale(sdata: SpatialData, slide: str) -> Scale:
    """Physical scale of a slide that has passed :func:`spatialhist._sdata.cohort.open_cohort` or ``open_images``."""
    info = slide_info(sdata, slide)
    return Scale(info.get("mpp"), info.get("pitch_px"), info.get("spot_diameter_px"))


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


def alignment(sdata: SpatialData, slide: str) -> np.ndarray:
    """The 3x3 matrix by which a slide's spots were moved from the reader's placement (identity if they were not)."""
    return np.asarray(slide_info(sdata, slide).get("alignment", np.eye(3)), dtype=float)


def footprint_move(sdata: SpatialData, slide: str) -> np.ndarray:
    """3x3 matrix, in the slide's coordinates, from where spots lie to where they lie without regard to expression."""
    report = slide_info(sdata, slide).get("alignment_report", {})
    if not report.get("use_expression"):
        return np.eye(3)
    return np.asarray(report["footprint_matrix"], dtype=float) @ np.linalg.inv(alignment(sdata, slide))


def set_alignment(cohort: Cohort, slide: str, matrix: np.ndarray) -> None:
    """Move a slide's spots from the reader's placement by a 3x3 matrix in the slide's coordinate system.

    The geometry stays; the move is composed into every coordinate system the shapes carry, ``obsm["spatial"]`` is
    refreshed, and the matrix is remembered so that the next call starts from the reader's placement again.
    """
    from spatialdata.transformations import Affine, get_transformation, set_transformation

    sdata, shapes = cohort.sdata, cohort.sdata.shapes[slide]
    placed = affine(shapes, slide)
    # The move in the shapes' own coordinates: into the slide, undo the old move, do the new one, and back.
    inner = np.linalg.inv(placed) @ matrix @ np.linalg.inv(alignment(sdata, slide)) @ placed
    every: dict[str, Any] = get_transformation(shapes, get_all=True)
    moved = {name: t.to_affine_matrix(("x", "y"), ("x", "y")) @ inner for name, t in every.items()}
    axes = ("x", "y")
    set_transformation(shapes, {k: Affine(m, axes, axes) for k, m in moved.items()}, set_all=True)
    slide_info(sdata, slide)["alignment"] = np.asarray(matrix, dtype=float).tolist()
    refresh_centers(cohort, slide)


def refresh_centers(cohort: Cohort, slide: str) -> None:
    """Copy a slide's spot centers into ``obsm["spatial"]``, where squidpy and scanpy look."""
    centers = np.array(cohort.table.obsm.get(_keys.SPATIAL, np.full((cohort.table.n_obs, 2), np.nan)), dtype=float)
    centers[cohort.rows(slide)] = spot_centers(cohort.sdata, cohort.table, slide)
    cohort.table.obsm[_keys.SPATIAL] = centers
