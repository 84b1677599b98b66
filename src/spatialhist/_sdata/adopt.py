"""Fill in what an object that others made lacks: keys, coordinate system, scale, spot centers, thumbnail."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.coordinates import check_invertible, is_placed, is_upright, length_factor, place_spots
from spatialhist._sdata.own_images import NOTED, SMALL_NOTED, full_image, is_small, own_images
from spatialhist._sdata.own_shapes import spots_name, spots_of
from spatialhist._sdata.spots_on_image import misfit
from spatialhist._sdata.upright import upright
from spatialhist._sdata.values import as_words, word

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

TABLE_KEYS = "spatialdata_attrs"
"""Where ``uns`` says which columns of a table name its regions and instances."""
SAME_PLACE_PX = 0.5
"""How far a copy of a center may be from it, as coordinates in other types are rounded."""
THUMBNAIL_PX = 1000
"""Longer side, about, of the image that squidpy draws spots on."""


def adopt_keys(table: AnnData, table_key: str) -> None:
    """Give a table the columns ``region`` and ``spot_id`` where it says that it is annotated by others.

    Raises
    ------
    ValueError
        If such a column holds something else.
    """
    said = table.uns.get(TABLE_KEYS, {})
    for expected, kind in ((_keys.REGION, "region_key"), (_keys.INSTANCE, "instance_key")):
        given = said.get(kind, expected)
        # copied, not renamed: the table still says that its own columns annotate it
        if given == expected or given not in table.obs:
            continue
        if expected not in table.obs:
            table.obs[expected] = table.obs[given]
        elif not np.array_equal(as_words(table.obs[expected]), as_words(table.obs[given])):
            raise ValueError(
                f"table {table_key!r} is annotated by obs[{given!r}], and its obs[{expected!r}] holds something else: rename "
                f"it, sdata[{table_key!r}].obs.rename(columns={{{expected!r}: 'other_{expected}'}}, inplace=True)"
            )

    if _keys.REGION in table.obs and _keys.INSTANCE in table.obs:
        _complete_keys(table)


def _complete_keys(table: AnnData) -> None:
    """Name the slides as the shapes are, by text, and say what the columns mean where a table does not."""
    import pandas as pd

    regions = table.obs[_keys.REGION]
    found = pd.unique(regions.dropna())
    if any(not isinstance(region, str) for region in found):
        table.obs[_keys.REGION] = pd.Categorical(as_words(regions))
    keys = {"region": [word(r) for r in found], "region_key": _keys.REGION, "instance_key": _keys.INSTANCE}
    table.uns.setdefault(TABLE_KEYS, keys)


def adopt(sdata: SpatialData, table: AnnData, slide: str) -> None:
    """Complete one slide; what is already there stays. Costs nothing the second time."""
    from spatialhist._sdata.geometry import compared_spots, spot_centers
    from spatialhist._sdata.labeled_cells import add_circles
    from spatialhist._sdata.scale import slide_info

    # before shapes are asked for: a slide known by labels alone has none
    if slide not in sdata.shapes:
        add_circles(sdata, table, slide)
    check_invertible(spots_of(sdata, slide), spots_name(sdata, slide))
    images = {f"sdata.images[{key!r}]": sdata.images[key] for key in own_images(sdata, slide)}
    for name, image in images.items():
        check_invertible(image, name)
    # before sizes are measured: they are in pixels of the slide
    place_spots(spots_of(sdata, slide), list(images.values()), slide)
    info = slide_info(sdata, slide)
    _note_image(info, sdata, slide)
    first = "spot_diameter_px" not in info or "pitch_px" not in info
    if first:
        centers = spot_centers(sdata, table, slide)
        _fill_scale(info, sdata, table, slide, centers)
        _compare(sdata, slide, centers[compared_spots(table, slide)])
    _fill_centers(sdata, table, slide, compare=first)
    entry = table.uns.setdefault(_keys.SPATIAL, {}).setdefault(slide, {})
    if "images" not in entry or "spot_diameter_fullres" not in entry.get("scalefactors", {}):
        fill_thumbnail(entry, sdata, slide, info["spot_diameter_px"])


def _note_image(info: dict[str, Any], sdata: SpatialData, slide: str) -> None:
    """Note the image of a slide that goes by another name, so that it stays the one when others are added."""
    key = full_image(sdata, slide)
    noted = SMALL_NOTED if is_small(key) else NOTED
    if key == _keys.image(slide) or key in (info.get(NOTED), info.get(noted)):
        return
    info[noted] = key
    if is_small(key):
        warnings.warn(
            f"slide {slide!r} has no image but the small copy {key!r}, which stands for its H&E image: nuclei cannot be seen",
            stacklevel=5,
        )


def _fill_centers(sdata: SpatialData, table: AnnData, slide: str, *, compare: bool) -> None:
    """Copy the centers of a slide's spots to where squidpy looks, where there are none, or those of other coordinates."""
    from spatialhist._sdata.geometry import copied_centers, spot_centers

    rows = (table.obs[_keys.REGION] == slide).to_numpy(dtype=bool)
    if _keys.SPATIAL not in table.obsm:
        table.obsm[_keys.SPATIAL] = np.full((table.n_obs, 2), np.nan)
    held = copied_centers(table)[rows]
    known = np.isfinite(held).all(axis=1)
    # a slide that was opened before: comparing centers at every call would make opening slow
    if known.any() and not compare:
        return
    centers = spot_centers(sdata, table, slide)
    if known.any() and np.allclose(held[known], centers[known], rtol=0, atol=SAME_PLACE_PX, equal_nan=True):
        return
    if known.any():
        logger.info("obsm['spatial'] of slide %r was in other coordinates than its spots, and is now in pixels", slide)
    filled = np.array(table.obsm[_keys.SPATIAL], dtype=float)
    filled[rows, :2] = centers
    table.obsm[_keys.SPATIAL] = filled


def _fill_scale(info: dict[str, Any], sdata: SpatialData, table: AnnData, slide: str, centers: np.ndarray) -> None:
    from spatialhist._sdata.geometry import areas_of_spots
    from spatialhist._sdata.known_scale import known_mpp, spot_pitch

    obs = table.obs[(table.obs[_keys.REGION] == slide).to_numpy()]
    if "pitch_px" not in info:
        info["pitch_px"] = spot_pitch(obs, centers)
    if "spot_diameter_px" not in info:
        info["spot_diameter_px"] = _diameter(areas_of_spots(sdata, slide), spots_name(sdata, slide))
    info.setdefault("mpp", known_mpp(sdata, table, slide, info["pitch_px"]))


def _diameter(areas: pd.Series, name: str) -> float:
    """Diameter of a circle of the median area."""
    median = float(areas.median())
    if not median > 0:
        raise ValueError(
            f"most of {name} have no area, so the size of a spot is unknown: give circles a radius in their own units, "
            f"{name}['radius'] = 25.0, and make outlines that cross themselves valid, {name}.geometry = {name}.make_valid()"
        )
    return 2 * float(np.sqrt(median / np.pi))


def _compare(sdata: SpatialData, slide: str, centers: np.ndarray) -> None:
    """Warn of images that spots do not lie on; a step that looks at one refuses the slide."""
    from spatialhist._sdata.geometry import apply
    from spatialhist._sdata.images import affine, image_size, small_copy

    for key in own_images(sdata, slide):
        if _keys.lowres("") in key or not is_placed(sdata.images[key], slide):
            continue
        to_pixels = np.linalg.inv(affine(sdata.images[key], slide))
        xy, size = apply(to_pixels, centers), image_size(sdata.images[key])
        problem = misfit(xy, size, slide, key, small=small_copy(sdata, slide, key))
        if problem:
            warnings.warn(problem, stacklevel=5)


def fill_thumbnail(entry: dict[str, Any], sdata: SpatialData, slide: str, diameter: float) -> None:
    """Add what squidpy needs to draw; a slide without any image gets the spot size alone."""
    from spatialhist._sdata.images import affine, pyramid, read_overview

    factors = entry.setdefault("scalefactors", {})
    factors.setdefault("spot_diameter_fullres", diameter)
    found = [key for key in own_images(sdata, slide) if _keys.lowres("") not in key]
    found = [key for key in found if is_placed(sdata.images[key], slide)]
    if not found or "images" in entry:
        return
    pixels, (factor_x, factor_y) = read_overview(pyramid(sdata, found[0]), THUMBNAIL_PX)
    pixels, to_slide = pixels[:, :, :3], affine(sdata.images[found[0]], slide)
    size = factor_x * length_factor(to_slide)
    if not is_upright(to_slide):
        pixels, size = upright(pixels, to_slide @ np.diag([factor_x, factor_y, 1]))
    entry["images"] = {"hires": pixels}
    factors["tissue_hires_scalef"] = 1 / size
