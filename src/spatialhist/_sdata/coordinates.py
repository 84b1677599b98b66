"""Coordinate systems of objects that others made: where spots and images share one, they are placed in that of the slide."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._sdata.own_shapes import has_shapes, spots_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

GLOBAL = "global"
AXES = ("x", "y")
UPRIGHT = 1e-3
"""Difference of the axes of an image and of its slide that no picture shows."""
SHIFT_PX = 0.5
"""Pixels by which an image may be shifted on its slide without a picture showing it."""


def matrix(element: Any, system: str) -> np.ndarray:
    """The 3x3 matrix from an element's own coordinates to a coordinate system it lies in."""
    return transformations(element)[system].to_affine_matrix(AXES, AXES)


def check_invertible(element: Any, name: str) -> None:
    """Refuse an element that a transformation squeezes to a line or a point, or moves nowhere.

    Raises
    ------
    ValueError
        Naming the coordinate system.
    """
    for system in transformations(element):
        found = matrix(element, system)
        if not np.isfinite(found).all() or np.linalg.det(found) == 0:
            raise ValueError(
                f"the transformation of {name} to the coordinate system {system!r} cannot be inverted: "
                f"{found.tolist()}. Set the right one, from spatialdata.transformations import Identity, set_transformation; "
                f"set_transformation({name}, Identity(), {system!r})"
            )


def is_placed(element: Any, system: str) -> bool:
    """Whether an element lies in a coordinate system."""
    return system in transformations(element)


def length_factor(matrix: np.ndarray) -> float:
    """How many times longer a 3x3 affine matrix makes a length, as far as one number can say it."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def transformations(element: Any) -> dict[str, Any]:
    """Transformations of an element by coordinate system."""
    from spatialdata.transformations import get_transformation

    return get_transformation(element, get_all=True)


def preferred(systems: Sequence[str]) -> str:
    """Of several coordinate systems the global one, also under the name that it has after a concatenation."""
    return next((s for s in systems if s == GLOBAL or s.startswith(f"{GLOBAL}-")), systems[0])


def place_spots(shapes: Any, images: Sequence[Any], slide: str) -> None:
    """Place the spots of a slide, and its images with them, in the coordinate system of the slide, where they are not.

    Where the system that they share is coarser than the coordinates of the spots, as that of a small image is, the slide
    keeps the finer ones. Where the largest image lies turned or shifted in it, as one that was registered, or beside those
    of other slides, the slide has the axes of the image, since squidpy draws pictures upright and from the origin.
    """
    from spatialdata.transformations import Identity, set_transformation

    systems = dict(transformations(shapes))
    anchored = [image for image in images if slide in transformations(image)]
    if slide not in systems and anchored:
        any(_place_by(shapes, image, slide) for image in anchored)
    elif slide not in systems:
        common = [s for s in systems if any(s in transformations(image) for image in images)] or list(systems)
        chosen = preferred(common)
        # a system coarser than the spots' own, such as micrometers or a small image, would be no pixels
        finer = length_factor(matrix(shapes, chosen)) < 1
        set_transformation(shapes, Identity() if finer else systems[chosen], slide)
        logger.info("placed spots of slide %r in a coordinate system of its own, by %r", slide, chosen)
    for image in images:
        if slide in transformations(shapes) and slide not in transformations(image):
            _place_by(image, shapes, slide)
    # only a system that was made here is turned: one that was there is the user's
    if slide not in systems and not anchored and images:
        _turn_to(images[0], [shapes, *images], slide)


def is_upright(to_slide: np.ndarray) -> bool:
    """Whether a 3x3 matrix takes an image to a slide by its scale alone."""
    own = to_slide[:2] / length_factor(to_slide)
    return bool((abs(own[:, :2] - np.eye(2)) < UPRIGHT).all() and (abs(own[:, 2]) < SHIFT_PX).all())


def _turn_to(image: Any, elements: Sequence[Any], slide: str) -> None:
    """Give a slide the axes of an image, at the scale it has."""
    from spatialdata.transformations import Affine, set_transformation

    if slide not in transformations(image) or is_upright(matrix(image, slide)):
        return
    old = matrix(image, slide)
    turn = np.diag([length_factor(old)] * 2 + [1]) @ np.linalg.inv(old)
    for element in elements:
        if slide in transformations(element):
            set_transformation(element, Affine(turn @ matrix(element, slide), AXES, AXES), slide)


def _place_by(element: Any, other: Any, slide: str) -> bool:
    """Place an element in the system of a slide as it lies to another elsewhere; whether they lie anywhere together."""
    from spatialdata.transformations import Affine, set_transformation

    common = [s for s in transformations(element) if s in transformations(other)]
    if not common:
        return False
    shared = preferred(common)
    to_other = np.linalg.inv(matrix(other, shared)) @ matrix(element, shared)
    set_transformation(element, Affine(matrix(other, slide) @ to_other, AXES, AXES), slide)
    return True


def place_by_spots(sdata: SpatialData, element: Any, slide: str) -> None:
    """Place an image or annotations in the coordinate system of a slide, where they are not and lie elsewhere with it."""
    from spatialdata.transformations import set_transformation

    systems = transformations(element)
    if slide in systems:
        return
    spotted = has_shapes(sdata, slide)
    if spotted and is_placed(spots_of(sdata, slide), slide):
        _place_by(element, spots_of(sdata, slide), slide)
    elif not spotted and (GLOBAL in systems or len(systems) == 1):
        set_transformation(element, systems.get(GLOBAL) or next(iter(systems.values())), slide)
