"""Lay spots on a slide, as a model wants them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.geometry import apply
from spatialhist._sdata.images import affine, image_key, pyramid, tissue_mask
from spatialhist._sdata.pixel_hash import pixel_hash
from spatialhist._sdata.scale import Scale, scale
from spatialhist.tl._inference.trained_scale import TrainedScale, check_pitch, design_in_px

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.cohort import Cohort
    from spatialhist.tl._data.design import Design
    from spatialhist.tl._inference.trained import Applier

TISSUE, IMAGE = "tissue", "image"


@dataclass(frozen=True)
class Grid:
    """Spots to be predicted.

    Attributes
    ----------
    slide
        Slide id.
    points
        Centers ``(n, 2)`` in pixels of the slide's image.
    pitch_px
        Distance of the model's spots in pixels of the image, to which positions are relative.
    spacing_px
        Distance of the points in pixels of the image.
    scale
        Of the grid: its ``pitch_px`` is the distance of its spots.
    design
        What the model looks at, in pixels of the slide.
    training_slide
        Name under which the run was trained on it.
    """

    slide: str
    points: np.ndarray
    pitch_px: float
    spacing_px: float
    scale: Scale
    design: Design
    training_slide: str | None


def lay_grid(
    cohort: Cohort,
    slide: str,
    applier: Applier,
    design: Design,
    *,
    spacing: tuple[str, float] | None,
    lattice: Lattice,
    within: str,
) -> Grid:
    """Lay spots of the size of training; see :func:`spatialhist.tl.predict_grid`.

    Raises
    ------
    KeyError, ValueError
        If the slide lacks something that the model needs.
    """
    sdata, trained = cohort.sdata, TrainedScale.of(applier.run.manifest)
    image_key(sdata, slide, design.image)
    tissue_mask(sdata, slide)
    own = scale(sdata, slide)
    spots = trained.spots(own)
    check_pitch(spots, slide, [("pitch", 1.0)])
    design = design_in_px(design, trained.complete(own), slide, tiles=applier.needs_tiles)
    training_slide = applier.trained_on(pixel_hash(cohort, slide))
    applier.check_slide(training_slide)
    distance = spots.spot_diameter_px if spacing is None else spots.px(spacing, slide)
    if not 0 < distance < np.inf:
        raise ValueError(f"spacing={spacing!r} must be a positive length")
    # The spots of a slide lie in its coordinate system, the mask in the image.
    size = float(np.sqrt(abs(np.linalg.det(affine(sdata.images[_keys.image(slide)], slide)[:2, :2]))))
    points = _points(sdata, slide, distance / size, lattice, within)
    if not len(points):
        raise ValueError(
            f"no spot at a distance of {distance:g} px lies on the {within} of slide {slide!r}: look at its mask"
        )
    laid = replace(spots, pitch_px=distance)
    return Grid(slide, points, spots.pitch_px / size, distance / size, laid, design, training_slide)


def _points(sdata: SpatialData, slide: str, spacing: float, lattice: Lattice, within: str) -> np.ndarray:
    if within == TISSUE:
        return lattice_on(*tissue_mask(sdata, slide), spacing, lattice)
    image = pyramid(sdata, image_key(sdata, slide))
    points = lattice_on(np.ones((1, 1), dtype=bool), (image.width, image.height), spacing, lattice)
    return points if within == IMAGE else points[_inside(sdata, slide, points, within)]


def _inside(sdata: SpatialData, slide: str, points: np.ndarray, region: str) -> np.ndarray:
    """Boolean per point of the image: it lies in one of the polygons of an element."""
    import shapely

    if region not in sdata.shapes:
        raise KeyError(f"within={region!r} is not 'tissue', 'image' or polygons in sdata.shapes: {list(sdata.shapes)}")
    shapes = sdata.shapes[region]
    if not set(shapes.geom_type) <= {"Polygon", "MultiPolygon"}:
        raise ValueError(f"within={region!r} holds {sorted(set(shapes.geom_type))}: want polygons")
    to_region = np.linalg.inv(affine(shapes, slide)) @ affine(sdata.images[_keys.image(slide)], slide)
    return np.asarray(shapely.contains_xy(shapes.union_all(), apply(to_region, points)))


def areas(points: np.ndarray, side: float) -> list[np.ndarray]:
    """Positions of points, square by square, so that the pixels around those of one square lie together."""
    square = np.floor(points / side).astype(int)
    _, code = np.unique(square[:, ::-1], axis=0, return_inverse=True)
    order = np.argsort(code, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


Lattice = Literal["hex", "square"]


ROW = {"hex": np.sqrt(3) / 2, "square": 1.0}
"""Distance of rows, in spacings."""


def lattice_on(mask: np.ndarray, factors: tuple[float, float], spacing: float, lattice: Lattice) -> np.ndarray:
    """Lay a lattice over an image and keep its points on tissue.

    Parameters
    ----------
    mask
        Boolean ``(y, x)`` over the whole image.
    factors
        Full-resolution pixels per pixel of the mask, ``(x, y)``.
    spacing
        Distance of neighbors in full-resolution pixels.
    lattice
        ``"hex"``: every other row is moved by half a spacing, six neighbors; ``"square"``: four.

    Returns
    -------
    ndarray
        ``(n, 2)`` as (x, y) in full-resolution pixels, row by row. The lattice hangs on the corner of the image, so
        that the same image always has the same points.
    """
    height, width = mask.shape[0] * factors[1], mask.shape[1] * factors[0]
    x = np.arange(spacing / 2, width, spacing)
    moved = x[x + spacing / 2 < width] + spacing / 2 if lattice == "hex" else x
    rows = [
        _on_tissue(moved if i % 2 else x, y, mask, factors)
        for i, y in enumerate(np.arange(spacing / 2, height, spacing * ROW[lattice]))
    ]
    return np.concatenate(rows) if rows else np.empty((0, 2))


def _on_tissue(x: np.ndarray, y: float, mask: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    line = mask[int(y / factors[1])]
    kept = x[line[(x / factors[0]).astype(int)]]
    return np.column_stack([kept, np.full(len(kept), y)])
