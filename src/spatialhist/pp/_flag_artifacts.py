"""Spots under ink, out of focus, or on a fold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_range
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.flags import as_flags
from spatialhist._sdata.layers import record_slides
from spatialhist._sdata.values import as_numbers
from spatialhist.pp._tissue.density import ink_mask
from spatialhist.pp._tissue.disc import disc_share
from spatialhist.pp._tissue.find import um_per_px
from spatialhist.pp._tissue.fold import fold_mask
from spatialhist.pp._tissue.overview import overview
from spatialhist.pp._tissue.sharpness import spot_quality

if TYPE_CHECKING:
    import pandas as pd
    from spatialdata import SpatialData

    from spatialhist._sdata.images import Pyramid
    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

DETAIL_UM = 1.5
"""Focus is measured on the coarsest level with pixels no larger: half a nucleus's edge."""
BAND = 2048
"""Rows of a level that are in memory at once."""
MIN_SIDE = 8
"""Pixels along a square, at least; a spot may be smaller on a coarse level."""
COMMON = 0.2
"""A fold is an exception: where more spots than this are dense, the tissue differs by itself."""


def flag_artifacts(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    max_ink: float = 0.1,
    min_sharpness: float = 0.35,
    max_fold: float = 0.5,
    table_key: str = _keys.TABLE,
) -> None:
    """Flag spots whose pixels show ink, blur or a fold; nothing is dropped.

    Parameters
    ----------
    sdata
        The cohort.
    slides
        Slides to check; all if None.
    max_ink
        Largest share of a spot's disc under ink.
    min_sharpness
        Smallest sharpness of a spot, relative to the median of its slide: a slide that is blurred all over has no
        flags, compare ``obs["sharpness"]`` between slides instead.
    max_fold
        Largest share of a spot's disc on folds: tissue that is more than one and a half times as dense as the median
        of its slide. No spot has the flag where this holds for more than a fifth of a slide's spots, for then its
        tissue differs in density by itself.
    table_key
        Name of the table.

    Returns
    -------
    None
        Adds to ``obs``, per spot: ``"ink"``, ``"blur"`` and ``"fold"`` (bool), and what they are drawn from,
        ``"ink_share"``, ``"sharpness"`` and ``"fold_share"`` (float32, 0 to 1; NaN where a slide was never checked or a
        spot has no position).

    Raises
    ------
    KeyError
        If a slide or its image is missing.
    ValueError
        If a limit is not a share.

    Notes
    -----
    Ink is what is dense without absorbing green most, or in a hue that lies in smooth strokes and hardly anywhere else on
    the slide. Sharpness (energy of the spectrum above a tenth of the sampling
    frequency) is that of ``squidpy.experimental.im.qc_image``, taken on the square around each spot, at pixels of at
    most 1.5 um where the image has them. A fold has two layers, whose optical densities add in every channel; so have
    dense nests of cells among loose tissue, so look at what was flagged before dropping it.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.flag_artifacts(sdata)
    >>> int(sdata["table"].obs["ink"].sum())
    0
    """
    limits = {"max_ink": max_ink, "min_sharpness": min_sharpness, "max_fold": max_fold}
    for name, limit in limits.items():
        check_range(name, limit, 0, 1)
    cohort = open_cohort(sdata, slides, table_key=table_key)
    found = [(slide.rows, _measure(slide)) for slide in cohort.every_slide()]
    obs = cohort.table.obs
    for flag, column in _keys.ARTIFACTS.items():
        values, flags = _earlier(obs, column, flag)
        for rows, measures in found:
            values[rows] = measures[flag]
            flags[rows] = _flag(flag, measures[flag], max_ink, min_sharpness, max_fold)
        obs[column], obs[flag] = values, flags
    record_slides(cohort.table, "flag_artifacts", dict.fromkeys(cohort.slides, limits))
    counts = {f: int(obs[f].sum()) for f in _keys.ARTIFACTS}
    logger.info("added obs %s: %s spots", list(_keys.ARTIFACTS), counts)


def _earlier(obs: pd.DataFrame, column: str, flag: str) -> tuple[np.ndarray, np.ndarray]:
    """Measures and flags of an earlier call, for the slides that this one does not check."""
    values = as_numbers(obs[column]) if column in obs else np.full(len(obs), np.nan)
    flags = as_flags(obs[flag], f"obs[{flag!r}]", gap=False) if flag in obs else np.zeros(len(obs))
    return values.astype(np.float32), np.array(flags, dtype=bool)


def _flag(kind: str, values: np.ndarray, max_ink: float, min_sharpness: float, max_fold: float) -> np.ndarray:
    if kind == "blur":
        known = np.isfinite(values)
        # relative to the slide: sharpness depends on scanner, stain and tissue
        return known & (values < min_sharpness * np.median(values[known])) if known.any() else known
    flags = values > {"ink": max_ink, "fold": max_fold}[kind]
    return flags if kind == "ink" or flags.mean() <= COMMON else np.zeros_like(flags)


def _measure(slide: Slide) -> dict[str, np.ndarray]:
    """Share under ink, sharpness and share on folds of every spot of a slide."""
    image, xy = slide.image(), slide.centers()
    diameter = slide.spot_diameter_px / image.px
    pixels, tissue, factors = overview(slide)
    um = um_per_px(slide.scale, factors[0] * image.px)
    ink = ink_mask(pixels, um_per_px=um)
    masks = {"ink": ink, "fold": fold_mask(pixels, tissue, ~(tissue | ink), um_per_px=um)}
    known = np.isfinite(xy).all(axis=1)
    sharpness = np.full(len(xy), np.nan, np.float32)
    if known.any():
        level = image.pyramid.level_for(DETAIL_UM / um_per_px(slide.scale, image.px))
        # only where a center is known, since a square has to lie somewhere
        sharpness[known] = spot_quality(_squares(image.pyramid, level, xy[known], diameter))
    return {"blur": sharpness, **{flag: disc_share(mask, xy, diameter / 2, factors) for flag, mask in masks.items()}}


def _squares(pyr: Pyramid, level: int, xy: np.ndarray, diameter: float) -> np.ndarray:
    """Squares around points, as wide as a spot ``(n, 3, side, side)``; at a border they are moved inwards."""
    image, factors = pyr.levels[level], pyr.factors[level]
    height, width = image.shape[1:]
    side = min(max(MIN_SIDE, round(diameter / factors[0])), height, width)
    left, top = np.clip(np.floor(xy / factors - side / 2 + 0.5), 0, (width - side, height - side)).astype(int).T
    out = np.empty((len(xy), 3, side, side), dtype=np.uint8)
    for start in range(0, height, BAND):
        inside = np.flatnonzero((top >= start) & (top < start + BAND))
        if len(inside):
            band = np.asarray(image[:, start : start + BAND + side])
            for i in inside:
                out[i] = band[:, top[i] - start : top[i] - start + side, left[i] : left[i] + side]
    return out
