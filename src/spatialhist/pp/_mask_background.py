"""Tissue masks."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_images
from spatialhist._sdata.images import add_image, add_mask
from spatialhist._sdata.layers import record_slides
from spatialhist.pp._tissue.find import MaskFunction, MaskMethod, find_tissue
from spatialhist.pp._tissue.masked_blocks import map_masked

if TYPE_CHECKING:
    import dask.array as da
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)


FULL_SHARE = 0.995
"""Of the image: with more tissue no background was told from it."""


def mask_background(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    method: MaskMethod | MaskFunction = "density",
    fill: bool = True,
    fill_value: int = 255,
    table_key: str = _keys.TABLE,
) -> None:
    """Find the tissue of each slide.

    Parameters
    ----------
    sdata
        The cohort.
    slides
        Slide ids; all if None.
    method
        ``"density"``: optical density above the glass and local texture, made to keep pale and fatty tissue and to
        leave out ink, dust, shadows and smeared stain. The others are squidpy's ``detect_tissue``. A function takes
        pixels ``(y, x, 3)`` uint8 of a low level and returns a boolean ``(y, x)``.
    fill
        Also add the image with its background filled, computed when it is read.
    fill_value
        Gray value of the filled background, 0 to 255.
    table_key
        The table.

    Returns
    -------
    None
        Adds ``labels["<slide>_full_image_tissue"]`` (1 on tissue) and, with ``fill``,
        ``images["<slide>_full_image_masked"]``.

    Raises
    ------
    KeyError
        If a slide or its image is missing.
    ValueError
        If the method or the fill value is unknown, or a function returns another shape.

    Notes
    -----
    Glass is what is bright, smooth and without the color of stain. A pixel is tissue if the standard deviation of its
    optical density over 15 um, or the density itself, rises above the glass, if it absorbs more green than red and blue
    (which hematoxylin and eosin do, ink and shadows do not), and if it hangs together with a part where all hold
    clearly.
    Gaps of 120 um are bridged, holes below 600 um filled, specks below 200 um dropped.

    A mask without any tissue, or without any background, is added with a warning.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> [key for key in sdata.labels if key.endswith("_tissue")]
    ['S1_full_image_tissue']
    """
    if not callable(method):
        check_choice("method", method, MaskMethod, otherwise="nor a function")
    if not 0 <= fill_value <= 255:
        raise ValueError(f"fill_value={fill_value} is not between 0 and 255")
    cohort = open_images(sdata, slides, table_key=table_key)
    keys = {slide.name: slide.image().pyramid.key for slide in cohort.every_slide()}
    # all masks before any is added: a method that fails on one slide leaves the object as it was
    masks = {slide.name: find_tissue(slide, method) for slide in cohort.every_slide()}
    for name, mask in masks.items():
        _warn_if_useless(mask, name)
        add_mask(sdata, mask, image=keys[name])
        if fill:
            add_image(sdata, _keys.masked(keys[name]), _filled(cohort.slide(name), fill_value), like=keys[name])
    made_by = method if isinstance(method, str) else getattr(method, "__name__", "function")
    record_slides(cohort.table, "tissue", {s: {"method": made_by, "share": float(m.mean())} for s, m in masks.items()})
    logger.info("added tissue masks (%s) of slides %s%s", made_by, cohort.slides, " and masked images" if fill else "")


def _warn_if_useless(mask: np.ndarray, slide: str) -> None:
    if not mask.any():
        problem = "no tissue was found"
    elif mask.mean() > FULL_SHARE:
        problem = "no background was found, all of it counts as tissue"
    else:
        return
    warnings.warn(
        f"slide {slide!r}: {problem}; look at the image, or choose another method= of sh.pp.mask_background",
        stacklevel=3,
    )


def _filled(slide: Slide, fill_value: int) -> da.Array:
    """The H&E image with its background filled, computed when it is read."""
    return map_masked(slide.image().pyramid.levels[0], *slide.tissue, partial(_fill, value=fill_value))


def _fill(block: np.ndarray, mask: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, value: int) -> np.ndarray:
    return np.where(mask[rows][:, columns], block, np.uint8(value))
