"""Pyramids and masks: reading pixels, adding image elements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.coordinates import is_placed, length_factor, matrix, place_by_spots, transformations
from spatialhist._sdata.own_images import (
    NOTED,
    candidates,
    color_images,
    full_image,
    hires_image,
    is_small,
    small_images,
)
from spatialhist._sdata.own_shapes import has_shapes, spots_name, spots_of
from spatialhist._sdata.pyramids import parse_image
from spatialhist._sdata.rgb import rgb_levels
from spatialhist._sdata.spots_on_image import SmallImage

if TYPE_CHECKING:
    import dask.array as da
    import zarr
    from spatialdata import SpatialData

MAX_PIXELS = 100_000_000_000
"""Ten times the largest slides that were scanned so far."""
MAX_MASK_PIXELS = 2_000_000_000
"""Masks are read as a whole; ours have a few million pixels."""
MAX_BLOCKS = 10_000_000
"""A slide of the largest size in chunks of 512 pixels has a million."""
_STEP = {
    "normalized": (_keys.normalized, "pp.normalize_stain(sdata)"),
    "masked": (_keys.masked, "pp.mask_background(sdata, fill=True)"),
}


@dataclass(frozen=True)
class Pyramid:
    """The resolution levels of one image element, finest first.

    Attributes
    ----------
    key
        Name of the element.
    levels
        Lazy arrays ``(c, y, x)``, one a level.
    factors
        Full-resolution pixels per pixel of the level, ``(x, y)``.
    stored
        The zarr arrays behind the levels where the element is exactly what lies in a store, else None.
    """

    key: str
    levels: tuple[da.Array, ...]
    factors: tuple[tuple[float, float], ...]
    stored: tuple[zarr.Array, ...] | None

    @property
    def width(self) -> int:
        """Columns of the finest level."""
        return self.levels[0].shape[2]

    @property
    def height(self) -> int:
        """Rows of the finest level."""
        return self.levels[0].shape[1]

    def level_for(self, factor: float) -> int:
        """Coarsest level that still has at least one pixel every ``factor`` full-resolution pixels."""
        # factors of levels of odd size are a little above powers of two
        fits = [i for i, f in enumerate(self.factors) if max(f) <= factor * (1 + 1e-3)]
        return fits[-1] if fits else 0


def image_key(sdata: SpatialData, slide: str, image: str | None = None) -> str:
    """Resolve which image of a slide is meant.

    Parameters
    ----------
    sdata
        The object.
    slide
        Slide id.
    image
        None or ``"full"`` for the H&E image, ``"normalized"``, ``"masked"``, or a key in ``sdata.images``, in which
        ``{slide}`` stands for the slide id.

    Raises
    ------
    KeyError
        If there is no such image; the message names the call that makes it, or the images there are.
    """
    full = full_image(sdata, slide)
    if image in _STEP:
        key = _STEP[image][0](full)
    elif image in (None, "full"):
        key = full
    else:
        key = image.replace("{slide}", slide)
    if key not in sdata.images:
        raise KeyError(f"no image {key!r}; found {sorted(sdata.images)}: {_image_advice(sdata, slide, image)}")
    place_by_spots(sdata, sdata.images[key], slide)
    return key


def _image_advice(sdata: SpatialData, slide: str, image: str | None) -> str:
    """How to get an image that is missing; it looks at all images, so it is asked for by an error only."""
    if image in _STEP:
        return f"make it with sh.{_STEP[image][1]}"
    return _full_image_advice(sdata, slide) if image in (None, "full") else "choose one with image="


def _full_image_advice(sdata: SpatialData, slide: str) -> str:
    """How to get a full-resolution image, to choose one, or to let a small one stand for it."""
    several = candidates(sdata, slide)
    if len(several) > 1:
        return (
            f"{several} lie in a coordinate system of its spots: say which one is its H&E image, "
            f"sdata.attrs.setdefault({_keys.ROOT!r}, {{}}).setdefault('slides', {{}}).setdefault({slide!r}, {{}})[{NOTED!r}] = "
            f"{several[0]!r}"
        )
    add = "make the slide with its full-resolution image, as sh.io.read_visium(..., image=) and sh.io.from_arrays do"
    small = small_images(sdata, slide)
    if not small:
        return _elsewhere(sdata, slide) or add
    return (
        f"{add}, or let the small one stand for it, sdata.images[{_keys.image(slide)!r}] = sdata.images[{small[0]!r}]"
    )


def _elsewhere(sdata: SpatialData, slide: str) -> str:
    """How to make an image that is there that of a slide: one of another coordinate system, or of channels of other names."""
    taken = {full_image(sdata, other) for other in sdata.shapes if other != slide}
    lost = [key for key in color_images(sdata) if not is_small(key) and key not in taken]
    if has_shapes(sdata, slide) and len(lost) == 1:
        image, spots = f"sdata.images[{lost[0]!r}]", spots_name(sdata, slide)
        lies, systems = (sorted(transformations(e)) for e in (sdata.images[lost[0]], spots_of(sdata, slide)))
        return (
            f"{lost[0]!r} lies in the coordinate systems {lies}, and its spots in {systems}. If positions of spots are pixels of "
            "this image, place it where they are: from spatialdata.transformations import get_transformation, "
            f"set_transformation; set_transformation({image}, get_transformation({spots}, {systems[0]!r}), {systems[0]!r})"
        )
    return ""


def pyramid(sdata: SpatialData, key: str) -> Pyramid:
    """Return the levels of an image as RGB of 8 bits, without reading more than a few pixels.

    Raises
    ------
    ValueError
        If its channels or values are of another kind than :func:`spatialhist._sdata.rgb.rgb_levels` takes, or it is too
        large to be a slide.
    """
    levels = levels_of(sdata.images[key])
    check_promise(levels[0], f"image {key!r}", MAX_PIXELS)
    arrays = tuple(rgb_levels(levels, f"image {key!r}"))
    height, width = arrays[0].shape[1:]
    factors = tuple((_factor(width, a.shape[2]), _factor(height, a.shape[1])) for a in arrays)
    stored = tuple(z for z in map(_stored, arrays) if z is not None)
    return Pyramid(key, arrays, factors, stored if len(stored) == len(arrays) else None)


def check_images(sdata: SpatialData) -> None:
    """Refuse an object whose images no scanner can have made, before anything of them is read.

    Raises
    ------
    ValueError
        Naming the image and its size.
    """
    for key, element in [*sdata.images.items(), *sdata.labels.items()]:
        check_promise(levels_of(element)[0], f"image {key!r}", MAX_PIXELS)


def check_promise(level: Any, name: str, max_pixels: int) -> None:
    """Refuse an image by its size and the number of its blocks alone; a store can promise any without holding one."""
    height, width = level.sizes["y"], level.sizes["x"]
    if not 0 < height * width <= max_pixels:
        raise ValueError(f"{name} is {width} x {height} pixels: one of this kind has 1 to {max_pixels:,} of them")
    blocks = math.prod(map(len, getattr(level.data, "chunks", None) or ()))
    if blocks > MAX_BLOCKS:
        raise ValueError(
            f"{name} has {blocks:,} chunks, more than the {MAX_BLOCKS:,} that can be planned with: store it with chunks of "
            "512 x 512 pixels"
        )


def levels_of(element: Any) -> list[Any]:
    """DataArrays of a single- or multiscale element, finest first."""
    import spatialdata as sd
    import xarray as xr

    if isinstance(element, xr.DataTree):
        return [sd.get_pyramid_levels(element, n=i) for i in range(len(element.children))]
    return [element]


def _factor(full: int, level: int) -> float:
    """Full-resolution pixels per pixel of a level.

    Pyramids are made by averaging whole blocks, and what does not fill a block is cut off (or padded): 1001 pixels
    become 500 of exactly two, although 1001 / 500 is not 2.
    """
    block = round(full / level)
    return float(block) if level in (full // block, -(-full // block)) else full / level


def _stored(array: da.Array) -> zarr.Array | None:
    """Return the zarr array that a dask array reads from, if nothing is computed on the way.

    An element recomputed in memory keeps its name but gets further layers in its graph.
    """
    import zarr

    # two layers, the array and what reads it: a third one computes something
    sources = [value for layer in array.dask.layers.values() if len(layer) == 1 for value in layer.values()]
    arrays = [v for v in sources if isinstance(v, zarr.Array)]
    plain = len(array.dask.layers) == 2 and len(arrays) == 1 and arrays[0].shape == array.shape
    return arrays[0] if plain else None


def read_level(pyr: Pyramid, level: int) -> np.ndarray:
    """Read one whole level as ``(y, x, c)`` uint8; meant for low levels."""
    return np.moveaxis(np.asarray(pyr.levels[level]), 0, -1)


def read_overview(pyr: Pyramid, max_px: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Read the image at no more than ``max_px`` pixels on its longer side.

    The finest level within the limit is taken as it is; where even the coarsest is larger it is shrunk by averaging, chunk
    by chunk as far as whole pixels go.

    Returns
    -------
    tuple[ndarray, tuple[float, float]]
        Pixels ``(y, x, c)`` uint8 and full-resolution pixels per returned pixel, ``(x, y)``.
    """
    from skimage.transform import resize

    sizes = [max(a.shape[1:]) for a in pyr.levels]
    fits = [i for i, size in enumerate(sizes) if size <= max_px]
    if fits:
        return read_level(pyr, fits[0]), pyr.factors[fits[0]]
    block = sizes[-1] // max_px
    if block > 1:
        pixels = _block_means(pyr.levels[-1], block)
        width, height = (f * block * n for f, n in zip(pyr.factors[-1], pixels.shape[1::-1], strict=True))
    else:
        pixels = read_level(pyr, len(sizes) - 1)
        width, height = pyr.width, pyr.height
    scale = max_px / max(pixels.shape[:2])
    shape = tuple(max(1, round(n * scale)) for n in pixels.shape[:2])
    small = resize(pixels, shape, order=1, anti_aliasing=True, preserve_range=True)
    return np.rint(small).astype(np.uint8), (width / shape[1], height / shape[0])


def _block_means(level: da.Array, block: int) -> np.ndarray:
    """Shrink a level ``(c, y, x)`` to ``(y, x, c)`` by whole blocks of pixels, without the level ever in memory.

    What does not fill a block at the right and lower edge is left out.
    """
    import dask.array as da

    height, width = (n // block * block for n in level.shape[1:])
    # whole blocks in every chunk: otherwise each chunk would lose what does not fill one
    chunk = block * -(-512 // block)
    even = level[:, :height, :width].rechunk({1: chunk, 2: chunk})
    return np.moveaxis(da.coarsen(np.mean, even, {1: block, 2: block}).compute(), 0, -1)


def as_element(image: Any, placed: Mapping[str, Any], name: str) -> Any:
    """Make an image element of pixels ``(c, y, x)`` or their levels, or of another element, whose pixels stay where they are.

    Raises
    ------
    ValueError
        If an element has other channels or values than :func:`spatialhist._sdata.rgb.rgb_levels` takes.
    """
    from spatialdata.transformations import set_transformation

    if not hasattr(image, "dims") and not hasattr(image, "children"):
        return parse_image(image, placed)
    stored = levels_of(image)
    check_promise(stored[0], name, MAX_PIXELS)
    levels = rgb_levels(stored, name)
    if not hasattr(image, "children") or any(a is not b.data for a, b in zip(levels, stored, strict=True)):
        return parse_image(levels[0], placed)
    element = image.copy()
    set_transformation(element, dict(placed), set_all=True)
    return element


def affine(element: Any, slide: str, name: str = "") -> np.ndarray:
    """Return the 3x3 matrix from an element's own pixels to the coordinate system of a slide.

    Parameters
    ----------
    element
        Image or shapes.
    slide
        Slide id.
    name
        How a user reaches the element, as in ``sdata.images['S1_full_image']``.

    Raises
    ------
    ValueError
        If the element is not placed in that coordinate system.
    """
    if not is_placed(element, slide):
        spots = f"sdata.shapes[{slide!r}]"
        other = f"sdata.images[{_keys.image(slide)!r}]" if name == spots else spots
        raise ValueError(
            f"{name or 'an element'} of slide {slide!r} lies in coordinate systems {sorted(transformations(element))}, not in "
            f"{slide!r}, and {other} in none of them, so nothing says how the two lie to each other. If positions of spots "
            "are pixels of the image, place the one where the other is: from spatialdata.transformations import "
            f"get_transformation, set_transformation; set_transformation({name}, get_transformation({other}, {slide!r}), "
            f"{slide!r})"
        )
    return matrix(element, slide)


def image_size(image: Any) -> tuple[int, int]:
    """Columns and rows of an image element, of pixels ``(c, y, x)``, or of the levels of these."""
    image = image[0] if isinstance(image, list) else image
    if hasattr(image, "shape") and not hasattr(image, "dims"):
        return image.shape[2], image.shape[1]
    sizes = levels_of(image)[0].sizes
    return sizes["x"], sizes["y"]


def small_copy(sdata: SpatialData, slide: str, image: str) -> SmallImage | None:
    """Space Ranger's small copy of a slide's full-resolution image, by which sizes of the two can be compared."""
    key = hires_image(sdata, slide)
    if key is None or image == key or not is_placed(sdata.images[key], slide):
        return None
    to_image = np.linalg.inv(affine(sdata.images[image], slide, f"sdata.images[{image!r}]")) @ affine(
        sdata.images[key], slide
    )
    size, factor = image_size(sdata.images[key]), length_factor(to_image)
    return SmallImage(key, size, (size[0] * factor, size[1] * factor))


def add_image(sdata: SpatialData, key: str, data: da.Array, *, like: str) -> None:
    """Add a lazy image ``(c, y, x)`` with the pyramid, channels and transformations of another one.

    An element of that name is replaced in memory; :func:`spatialhist.pp.save` puts it into the store.
    """
    sdata.images[key] = parse_image(data, transformations(sdata.images[like]))


def add_mask(sdata: SpatialData, mask: np.ndarray, *, image: str) -> None:
    """Add a tissue mask ``(y, x)`` that covers an image, at whatever resolution it was computed."""
    from spatialdata.models import Labels2DModel
    from spatialdata.transformations import Scale, Sequence

    pyr = pyramid(sdata, image)
    to_image = Scale([_factor(pyr.width, mask.shape[1]), _factor(pyr.height, mask.shape[0])], axes=("x", "y"))
    sdata.labels[_keys.tissue(image)] = Labels2DModel.parse(
        mask.astype(np.uint8),
        dims=("y", "x"),
        transformations={name: Sequence([to_image, t]) for name, t in transformations(sdata.images[image]).items()},
    )


def tissue_mask(sdata: SpatialData, slide: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Read the tissue mask of a slide.

    Returns
    -------
    tuple[ndarray, tuple[float, float]]
        Boolean ``(y, x)`` and full-resolution pixels per mask pixel, ``(x, y)``.

    Raises
    ------
    KeyError
        If there is none, or no H&E image that it could lie on.
    """
    full = full_image(sdata, slide)
    if full not in sdata.images:
        raise KeyError(
            f"slide {slide!r} has no image {full!r}, on which its tissue mask lies; found {sorted(sdata.images)}: "
            f"{_full_image_advice(sdata, slide)}"
        )
    key = _keys.tissue(full)
    if key not in sdata.labels:
        raise KeyError(f"slide {slide!r} has no tissue mask {key!r}: make it with sh.pp.mask_background(sdata)")
    # checked before it is read: a store can promise any size
    finest = levels_of(sdata.labels[key])[0]
    check_promise(finest, f"mask {key!r}", MAX_MASK_PIXELS)
    mask = np.asarray(finest.data) > 0
    pyr = pyramid(sdata, full)
    return mask, (_factor(pyr.width, mask.shape[1]), _factor(pyr.height, mask.shape[0]))
