"""Which images of an object are those of a slide: by their name, by what was noted, or by where they lie."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.coordinates import matrix, transformations
from spatialhist._sdata.own_shapes import has_shapes, spots_of
from spatialhist._sdata.rgb import named_order

if TYPE_CHECKING:
    from spatialdata import SpatialData

NOTED = "image"
"""Where ``sdata.attrs`` names the H&E image of a slide whose own name does not."""
SMALL_NOTED = "small_image"
"""Where ``sdata.attrs`` names a small copy that stands for the H&E image, until there is a larger one."""
SMALL = re.compile(r"(?:^|_)(?:hires|lowres|cytassist|thumbnail)(?:(?:_tissue)?_image)?(?:-.*)?$", re.IGNORECASE)
"""Ends of names of images that are small copies, or not of the H&E stain, as readers name them."""
COLORS = (3, 4)
"""Channels of a color image."""


def full_image(sdata: SpatialData, slide: str) -> str:
    """Key of the H&E image of a slide; its conventional name where there is none, or more than one may be it."""
    named = _keys.image(slide)
    # the conventional name before what is noted: an image that was added later is meant
    if named in sdata.images:
        return named
    noted = sdata.attrs.get(_keys.ROOT, {}).get("slides", {}).get(slide, {}).get(NOTED)
    if noted in sdata.images:
        return str(noted)
    found = candidates(sdata, slide)
    return found[0] if len(found) == 1 else named


def candidates(sdata: SpatialData, slide: str) -> list[str]:
    """Color images that lie in a coordinate system of the spots of a slide and may be its H&E image.

    Large ones go before small copies, then those that share most words with the slide, then those that spots lie on.
    """
    if not has_shapes(sdata, slide):
        return []
    systems = set(transformations(spots_of(sdata, slide)))
    there = [key for key in color_images(sdata) if systems & set(transformations(sdata.images[key]))]
    large = [key for key in there if not is_small(key)]
    shared = {key: len({*words(key)} & {*words(slide)}) for key in there}
    # an image named after another slide is not a candidate, unless its name shares words with this one's
    taken = {_keys.image(other) for other in sdata.shapes}
    free = [key for key in large or _small_alone(sdata, slide, there) if shared[key] or key not in taken]
    best = [key for key in free if shared[key] == max(shared[k] for k in free)]
    return best if len(best) < 2 else [key for key in best if _lies_on(sdata, slide, key)] or best


def _small_alone(sdata: SpatialData, slide: str, small: list[str]) -> list[str]:
    """The largest of small copies; none where names of Space Ranger say what they are copies of."""
    if {_keys.hires(slide), _keys.lowres(slide)} & set(sdata.images):
        return []
    # the CytAssist image is not of the H&E stain
    size = {key: _finest(sdata.images[key]).sizes["x"] for key in small if "cytassist" not in key.lower()}
    return [key for key in size if size[key] == max(size.values())]


def _lies_on(sdata: SpatialData, slide: str, key: str) -> bool:
    """Whether the middle of the spots lies on an image, by the first coordinate system that they share."""
    shapes, image = spots_of(sdata, slide), sdata.images[key]
    system = next(s for s in transformations(shapes) if s in transformations(image))
    left, low, right, high = shapes.total_bounds
    x, y, _ = np.linalg.inv(matrix(image, system)) @ matrix(shapes, system) @ [(left + right) / 2, (low + high) / 2, 1]
    sizes = _finest(image).sizes
    return bool(0 <= x <= sizes["x"] and 0 <= y <= sizes["y"])


def color_images(sdata: SpatialData) -> list[str]:
    """Images with the channels of a color image, without those that steps of ours make."""
    ours = (_keys.normalized(""), _keys.masked(""), "_map")
    return [key for key, image in sdata.images.items() if not key.endswith(ours) and _is_color(image)]


def _is_color(element: Any) -> bool:
    """Whether an image has as many channels as one of colors, and none that is named after something else."""
    level = _finest(element)
    try:
        named_order(list(level.coords["c"].values) if "c" in level.coords else None, "")
    except ValueError:
        return False
    return level.sizes["c"] in COLORS


def _finest(element: Any) -> Any:
    return element["scale0"]["image"] if hasattr(element, "children") else element


def is_small(key: str) -> bool:
    """Whether the name of an image says that it is a small copy, or not of the H&E stain."""
    return SMALL.search(key) is not None


def words(name: str) -> list[str]:
    """Parts of a name, between what is neither letter nor digit."""
    return re.split(r"[\W_]+", name)


def own_images(sdata: SpatialData, slide: str) -> list[str]:
    """Keys of the images of a slide that there are, the largest first."""
    full = full_image(sdata, slide)
    return [key for key in (full, *small_images(sdata, slide)) if key in sdata.images]


def small_images(sdata: SpatialData, slide: str) -> list[str]:
    """Keys of the small copies of a slide's image that there are, the larger first."""
    full, stem = full_image(sdata, slide), _keys.image("")
    found = [
        key
        for small in (_keys.hires, _keys.lowres)
        for key in (small(slide), full.replace(stem, small("")) if stem in full else "")
    ]
    return [key for key in dict.fromkeys(found) if key in sdata.images]


def hires_image(sdata: SpatialData, slide: str) -> str | None:
    """Key of the larger of Space Ranger's small copies; None without it."""
    return next((key for key in small_images(sdata, slide) if _keys.hires("") in key), None)
