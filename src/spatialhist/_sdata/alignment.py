"""How spots were moved from where the reader put them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.coordinates import AXES, transformations
from spatialhist._sdata.geometry import apply, copied_centers, has_spots, spot_centers, spot_pixels
from spatialhist._sdata.images import affine, image_key
from spatialhist._sdata.own_shapes import spots_of
from spatialhist._sdata.scale import slide_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def alignment(sdata: SpatialData, slide: str) -> np.ndarray:
    """The 3x3 matrix that moved a slide's spots from their original coordinates (identity if they were not moved)."""
    return np.asarray(slide_info(sdata, slide).get("alignment", np.eye(3)), dtype=float)


def footprint_move(sdata: SpatialData, slide: str) -> np.ndarray:
    """3x3 matrix, in the slide's coordinates, from where spots lie to where they lie without regard to expression."""
    report = slide_info(sdata, slide).get("alignment_report", {})
    if not report.get("use_expression"):
        return np.eye(3)
    return np.asarray(report["footprint_matrix"], dtype=float) @ np.linalg.inv(alignment(sdata, slide))


def alignment_scores(report: Mapping[str, Any]) -> tuple[str, float, float] | None:
    """What a report of :func:`spatialhist.pp.realign` chose a position by, before and after; None if it had no choice.

    Reports of version 0.1.0 called either measure a score.
    """
    measure = "correlation" if report.get("use_expression") else "overlap"
    for name in (measure, "score"):
        if f"{name}_before" in report:
            return measure, float(report[f"{name}_before"]), float(report[f"{name}_after"])
    return None


def set_alignment(sdata: SpatialData, table: AnnData, slide: str, matrix: np.ndarray) -> None:
    """Move a slide's spots from their original coordinates by a 3x3 matrix in the slide's coordinate system.

    The geometry stays; the move is composed into every coordinate system the shapes carry, ``obsm["spatial"]`` is
    refreshed, and the matrix is remembered so that the next call starts from the original coordinates again.
    """
    from spatialdata.transformations import Affine, set_transformation

    shapes = spots_of(sdata, slide)
    placed = affine(shapes, slide)
    # The move in the shapes' own coordinates: into the slide, undo the old move, do the new one, and back.
    inner = np.linalg.inv(placed) @ matrix @ np.linalg.inv(alignment(sdata, slide)) @ placed
    moved = {system: Affine(affine(shapes, system) @ inner, AXES, AXES) for system in transformations(shapes)}
    set_transformation(shapes, moved, set_all=True)
    slide_info(sdata, slide)["alignment"] = np.asarray(matrix, dtype=float).tolist()
    # by identity, since the table given may be among those of the object, and is refreshed once
    for each in {id(t): t for t in (table, *_tables_of(sdata, slide))}.values():
        refresh_centers(sdata, each, slide)


def _tables_of(sdata: SpatialData, slide: str) -> list[AnnData]:
    """Tables that hold a copy of the spot centers of a slide."""
    return [
        t
        for t in filter(has_spots, sdata.tables.values())
        if _keys.SPATIAL in t.obsm and (t.obs[_keys.REGION] == slide).any()
    ]


def refresh_centers(sdata: SpatialData, table: AnnData, slide: str) -> None:
    """Copy a slide's spot centers into ``obsm["spatial"]``, where squidpy and scanpy look."""
    known = _keys.SPATIAL in table.obsm
    centers = copied_centers(table).copy() if known else np.full((table.n_obs, 2), np.nan)
    centers[(table.obs[_keys.REGION] == slide).to_numpy(dtype=bool)] = spot_centers(sdata, table, slide)
    table.obsm[_keys.SPATIAL] = centers


def original_points(sdata: SpatialData, table: AnnData, slide: str) -> np.ndarray:
    """Original spot coordinates in full-resolution pixels of the slide's H&E image.

    Undoing an earlier move leaves rounding errors; without them a second registration is byte-equal to the first.
    """
    undo = np.linalg.inv(alignment(sdata, slide))
    to_image = np.linalg.inv(affine(sdata.images[image_key(sdata, slide)], slide))
    return apply(to_image @ undo, spot_centers(sdata, table, slide)).round(6)


def image_points(sdata: SpatialData, table: AnnData, slide: str) -> np.ndarray:
    """Spot centers in full-resolution pixels of the slide's H&E image (its derived images share them).

    A registration that used expression would leak labels into the pixels that predict them, so its spots are put where
    their footprint alone puts them.
    """
    key = image_key(sdata, slide)
    centers = spot_pixels(sdata, table, slide, key)
    move = footprint_move(sdata, slide)
    if np.array_equal(move, np.eye(3)):
        return centers
    logger.info("slide %r: spots placed by their footprint, not by expression", slide)
    to_slide = affine(sdata.images[key], slide)
    return apply(np.linalg.inv(to_slide) @ move @ to_slide, centers)
