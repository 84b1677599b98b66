"""Lay spots on a slide, as a model wants them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialhist import _keys
from spatialhist.tl._inference.relatives import Relatives
from spatialhist.tl._inference.trained_scale import TrainedScale, check_pitch, design_in_px

if TYPE_CHECKING:
    from spatialhist._sdata.scale import Scale
    from spatialhist._sdata.slide import Slide
    from spatialhist.tl._data.design import Design
    from spatialhist.tl._runs.trained import Trained

TISSUE, IMAGE = _keys.TISSUE, "image"


@dataclass(frozen=True)
class Grid:
    """Spots to be predicted.

    Attributes
    ----------
    slide
        The slide with these spots, of the size that the model was trained on.
    spacing_px
        Distance of the spots in pixels of the slide.
    design
        What the model looks at, in pixels of the slide.
    training_slide
        Name under which the run was trained on it.
    within
        Where the spots lie.
    """

    slide: Slide
    spacing_px: float
    design: Design
    training_slide: str | None
    within: str = TISSUE

    @property
    def scale(self) -> Scale:
        """Of the grid: its ``pitch_px`` is the distance of its spots."""
        return replace(self.slide.scale, pitch_px=self.spacing_px)


def lay_grid(
    slide: Slide,
    trained: Trained,
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
    slide, design, training_slide = as_trained_on(slide, trained, design)
    distance = spacing_px(slide, spacing)
    mask, factors = slide.tissue
    if within == TISSUE:
        points = lattice_on(mask, factors, distance / slide.image().px, lattice)
    else:
        points = _on_image(slide, distance / slide.image().px, lattice, within)
    if not len(points):
        raise ValueError(
            f"no spot at a distance of {distance:g} px lies on the {within} of slide {slide.name!r}: look at its mask"
        )
    return Grid(slide.with_spots(points, slide.scale), distance, design, training_slide, within)


def as_trained_on(slide: Slide, trained: Trained, design: Design) -> tuple[Slide, Design, str | None]:
    """A slide at the scale of training, before anything is laid on it.

    Returns
    -------
    tuple[Slide, Design, str | None]
        The slide without spots, whose scale has those of training; what the model looks at, in pixels of the slide; and the
        name under which the run was trained on it.

    Raises
    ------
    KeyError, ValueError
        If the slide lacks something that the model needs.
    """
    sizes, own, name = TrainedScale.of(trained.manifest.scales), slide.scale, slide.name
    slide.image(design.image)
    # a slide without a mask is refused before the model is asked anything
    _ = slide.tissue
    spots = sizes.spots(own)
    check_pitch(spots, name, [("pitch", 1.0)])
    design = design_in_px(design, sizes.complete(own), name, tiles=trained.needs_tiles)
    training_slide = Relatives.of(trained).training_slide(slide)
    trained.check_slide(training_slide)
    return slide.with_spots(np.empty((0, 2)), spots), design, training_slide


def spacing_px(slide: Slide, spacing: tuple[str, float] | None) -> float:
    """A distance in pixels of the slide, the diameter of a spot where none is given.

    Raises
    ------
    ValueError
        If it is no positive length.
    """
    scale, name = slide.scale, slide.name
    distance = scale.diameter(name) if spacing is None else scale.px(spacing, name)
    if not 0 < distance < np.inf:
        raise ValueError(f"spacing={spacing!r} must be a positive length")
    return distance


def _on_image(slide: Slide, spacing: float, lattice: Lattice, within: str) -> np.ndarray:
    image = slide.image().pyramid
    # anything but tissue is laid over all of the image first: its mask is one pixel that is true
    points = lattice_on(np.ones((1, 1), dtype=bool), (image.width, image.height), spacing, lattice)
    return points if within == IMAGE else points[slide.inside(points, within)]


def areas(points: np.ndarray, side: float) -> list[np.ndarray]:
    """Positions of points, square by square, so that the pixels around those of one square lie together."""
    square = np.floor(points / side).astype(int)
    # by rows of squares, as pixels lie in a file
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
    # a moved row would reach beyond the right edge with its last spot
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
