"""Images of a Space Ranger output, laid under its spots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._space_ranger.files import SpaceRangerFiles


def add_images(
    part: SpatialData, files: SpaceRangerFiles, slide: str, image: Path | None, *, lazy: bool = False
) -> None:
    """Add Space Ranger's small images and the full-resolution one, and complete the slide by them.

    Parameters
    ----------
    part
        The slide without images; its spots lie in the coordinate systems of the small images too.
    files
        Of the slide.
    slide
        Its name.
    image
        File of the full-resolution image.
    lazy
        Decode it only where its pixels are asked for.
    """
    from spatialhist._sdata.cohort import open_cohort

    _add_small_images(part, files, slide)
    # before the large image is there, of which the thumbnail would be made else
    if lazy and image is not None:
        _fill_thumbnail(part, slide)
    if image is not None:
        _add_full_image(part, slide, image, lazy)
    open_cohort(part)
    if image is not None:
        _compare_scale(part, slide, image)


def refuse_other_image(part: SpatialData, slide: str, image: Path) -> None:
    """Refuse an image that is not the one of which positions are pixels.

    Raises
    ------
    ValueError
        If more than a tenth of the spots lie outside.
    """
    from spatialhist._sdata.geometry import check_on_image, copied_centers

    table = part.tables[_keys.TABLE]
    try:
        check_on_image(part, table, slide, _keys.image(slide), copied_centers(table))
    except ValueError as error:
        raise ValueError(f"{image} does not belong to the spots: {error}") from error


def _add_small_images(part: SpatialData, files: SpaceRangerFiles, slide: str) -> None:
    """Add Space Ranger's small images, named and placed as spatialdata-io does."""
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Identity, get_transformation

    from spatialhist.io._images.image_file import read_pixels

    systems = get_transformation(part.shapes[slide], get_all=True)
    for size, file in (("hires", files.hires), ("lowres", files.lowres)):
        small = f"{slide}_downscaled_{size}"
        if file is not None and small in systems:
            placed = {small: Identity(), slide: systems[small].inverse()}
            part.images[f"{slide}_{size}_image"] = Image2DModel.parse(
                read_pixels(file), dims=("c", "y", "x"), c_coords=list(_keys.CHANNELS), transformations=placed
            )


def _fill_thumbnail(part: SpatialData, slide: str) -> None:
    """Make the thumbnail of Space Ranger's small image, where that of the full-resolution one would decode all of it."""
    from spatialhist._sdata.adopt import fill_thumbnail

    entry = part.tables[_keys.TABLE].uns[_keys.SPATIAL][slide]
    fill_thumbnail(entry, part, slide, float(part.shapes[slide]["radius"].median() * 2))


def _add_full_image(part: SpatialData, slide: str, path: Path, lazy: bool) -> None:
    from spatialdata.transformations import Identity

    from spatialhist._sdata.pyramids import parse_image
    from spatialhist.io._images.image_file import read_image, read_pixels

    pixels = read_image(path) if lazy else read_pixels(path)
    part.images[_keys.image(slide)] = parse_image(pixels, {slide: Identity()})


def _compare_scale(part: SpatialData, slide: str, image: Path) -> None:
    """Warn where the image says another pixel size than the distance of spots; it was made larger or smaller."""
    from spatialhist._sdata.scale import scale
    from spatialhist._sdata.spots_on_image import check_distance
    from spatialhist.io._images.image_file import MPP_RANGE, read_mpp

    try:
        recorded = read_mpp(image)
    except (ImportError, ValueError):
        return
    known = scale(part, slide)
    if recorded and known.mpp and known.pitch_px and MPP_RANGE[0] <= recorded <= MPP_RANGE[1]:
        check_distance(known.pitch_px, recorded, slide, known_um=known.mpp * known.pitch_px)
