"""Stain normalization."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_images
from spatialhist._sdata.images import Pyramid, add_image
from spatialhist._sdata.layers import check_key, record_slides, recorded
from spatialhist._sdata.pixel_hash import hash_window
from spatialhist._sdata.scale import slide_info
from spatialhist.pp._fit_stain_reference import fit_stain_reference
from spatialhist.pp._stain.fit import StainError, basis_change, fit_pixels, fit_stain, lab_transfer
from spatialhist.pp._stain.reference import CANONICAL, StainMethod, StainReference, array_of
from spatialhist.pp._tissue.masked_blocks import BlockFunction, map_masked

if TYPE_CHECKING:
    import dask.array as da
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

COHORT = "cohort"
Facts: TypeAlias = dict[str, dict[str, Any]]
"""Of slides, by their names."""


def normalize_stain(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    method: StainMethod = "macenko",
    reference: str | os.PathLike[str] | Sequence[str] | StainReference = CANONICAL,
    image: str | None = None,
    key_added: str | None = None,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> None:
    """Recolour each slide's tissue as if it had been stained like a reference.

    Parameters
    ----------
    sdata
        The cohort; its slides need a tissue mask.
    slides
        Slide ids; all if None.
    method
        How the stain of a slide is fitted: ``"macenko"`` and ``"vahadane"`` find the two stain vectors and exchange
        them, ``"reinhard"`` matches mean and spread of the colors.
    reference
        ``"canonical"``: a published standard shipped with the package, so nothing is fitted across slides. Otherwise a
        slide id, several slide ids or ``"cohort"`` (the slides of this call), fitted on their tissue, pooled; a
        :class:`StainReference`; or the path of a saved one (``*.json``). What was fitted is recorded, and
        ``tl.cross_validate`` refuses a reference that has seen a scored group.
    image
        The image to recolour: None for the H&E image, ``"masked"``, or a key with ``{slide}`` for the slide id.
    key_added
        Key of the result, with ``{slide}`` for the slide id; ``{slide}_full_image_normalized`` if None.
    seed
        Draws the pixels of a pooled reference.
    table_key
        The table.

    Returns
    -------
    None
        Adds ``images["<slide>_full_image_normalized"]``, computed when it is read; background stays as it is.

    Raises
    ------
    KeyError
        If a slide, an image or a tissue mask is missing.
    ValueError
        If the method or reference is unknown, or the reference cannot be fitted.

    Notes
    -----
    Stains are fitted by squidpy on the coarsest level of the pyramid. A slide whose stain cannot be fitted (no tissue,
    one stain only, vectors far from hematoxylin and eosin) is passed through unchanged, with a warning. Macenko et al.
    (ISBI 2009), Vahadane et al. (IEEE TMI 2016), Reinhard et al. (IEEE CG&A 2001).

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.normalize_stain(sdata)
    >>> "S1_full_image_normalized" in sdata.images
    True
    """
    check_choice("method", method, StainMethod)
    cohort = open_images(sdata, slides, table_key=table_key)
    opened = cohort.every_slide()
    sources = {slide.name: slide.image(image).pyramid.key for slide in opened}
    added = {slide.name: _key_added(slide, key_added, len(opened)) for slide in opened}
    for slide in opened:
        _ = slide.tissue  # a missing mask is refused before anything is fitted
    target = _given_reference(reference, method)
    if target is None:
        pooled: Any = cohort.slides if isinstance(reference, str) and reference == COHORT else reference
        target = fit_stain_reference(sdata, slides=pooled, method=method, image=image, seed=seed, table_key=table_key)
    called = reference if isinstance(reference, str) else COHORT if len(target.fitted_on) > 1 else "fitted"
    entries: Facts = {}
    told_by: Facts = {}
    for slide in opened:
        pixels, found = _normalize(slide, image, target)
        add_image(sdata, added[slide.name], pixels, like=sources[slide.name])
        entries[slide.name] = {**found, "reference": called}
        window = _telling_window(slide, image, pixels) if found["applied"] and target.fitted_on else {}
        told_by[slide.name] = {"pixel_hashes": list(target.pixel_hashes), "windows": window}
    # other tables may hold other spots on the same images
    for table, slide_of in cohort.tables_on_same_images():
        for name, slide_id in slide_of.items():
            slide_info(sdata, name)["stain"] = entries[slide_id]
        _record(table, slide_of, entries, added, told_by)
    logger.info("added stain-normalized images (%s, %s) of slides %s", target.method, called, cohort.slides)


def _given_reference(reference: Any, method: StainMethod) -> StainReference | None:
    """A reference that is there already, None where it is to be fitted on slides."""
    if isinstance(reference, StainReference):
        found = reference
    elif isinstance(reference, str) and reference == CANONICAL:
        found = StainReference.canonical(method)
    elif isinstance(reference, os.PathLike) or (isinstance(reference, str) and reference.endswith(".json")):
        found = StainReference.load(reference)
    else:
        return None
    if found.method != method:
        raise ValueError(f"the reference was fitted by {found.method!r}: pass method={found.method!r}")
    return found


def _key_added(slide: Slide, key_added: str | None, n_slides: int) -> str:
    if key_added is None:
        return _keys.normalized(slide.full_image)
    key = key_added.replace("{slide}", slide.name)
    check_key(key)
    if key == key_added and n_slides > 1:
        raise ValueError(f"key_added={key_added!r} is one name for {n_slides} slides: put {{slide}} into it")
    return key


def _mask_on(slide: Slide, pyr: Pyramid) -> tuple[np.ndarray, tuple[float, float]]:
    """Tissue mask and pixels of this image per mask pixel; the image may be smaller than the one masked."""
    mask, (x, y) = slide.tissue
    full = slide.image().pyramid
    return mask, (x * pyr.width / full.width, y * pyr.height / full.height)


def _normalize(slide: Slide, image: str | None, target: StainReference) -> tuple[da.Array, dict[str, Any]]:
    """The recolored image of one slide, or the image as it is where no stain could be fitted, and how it was made."""
    pyr = slide.image(image).pyramid
    pixels, tissue = fit_pixels(slide, image)
    entry = {"image": pyr.key, "method": target.method, "fitted_on": list(target.fitted_on), "target": target.to_dict()}
    try:
        # by the white point of the reference, which recoloring takes for both images
        found = fit_stain(pixels, tissue, target.method, white_point=target.white_point)
    except StainError as error:
        warnings.warn(f"slide {slide.name!r}: stain left as it is, {error}", stacklevel=3)
        return pyr.levels[0], {**entry, "applied": False, "reason": str(error)}
    recolored = map_masked(pyr.levels[0], *_mask_on(slide, pyr), _recolor(found, target))
    return recolored, {**entry, "applied": True, "source": found.to_dict()}


def _recolor(source: StainReference, target: StainReference) -> BlockFunction:
    # numba costs half a second to load
    from spatialhist.pp._stain.apply import basis_tables, recolor_basis, recolor_lab

    if target.method == "reinhard":
        to_lms, slope, intercept = lab_transfer(source, target)
        return partial(recolor_lab, to_lms=to_lms, slope=slope, intercept=intercept)
    return partial(recolor_basis, tables=basis_tables(basis_change(source, target), array_of(target, "white_point")))


def _telling_window(slide: Slide, image: str | None, recolored: da.Array) -> dict[str, Any]:
    """Place in the midst of the tissue and hash of what was made of it, by which a copy under another key is known."""
    source = slide.image(image).pyramid
    mask, (x, y) = _mask_on(slide, source)
    rows, columns = np.nonzero(mask)
    # on tissue itself: the median place may lie in a hole
    middle = np.hypot(rows - np.median(rows), columns - np.median(columns)).argmin()
    place = {"x": int((columns[middle] + 0.5) * x), "y": int((rows[middle] + 0.5) * y)}
    made = hash_window(recolored, **place)
    # a window that did not change would tell nothing
    return {} if made == hash_window(source.levels[0], **place) else {**place, "hash": made}


def _record(table: AnnData, slide_of: dict[str, str], entries: Facts, added: dict[str, str], told_by: Facts) -> None:
    known = recorded(table, "stain").get("slides", {})
    brief = {}
    for name, slide in slide_of.items():
        key, before, entry = added[slide], known.get(_keys.sanitize(name), {}), entries[slide]
        kept = {what: {**before.get(what, {}), key: value} for what, value in told_by[slide].items() if value}
        kept["images"] = {**before.get("images", {}), key: entry["fitted_on"]}
        brief[name] = {k: entry[k] for k in ("method", "reference", "fitted_on", "applied")} | kept
    record_slides(table, "stain", brief)
    entry = recorded(table, "stain")
    entry["fitted_on"] = sorted({s for one in entry["slides"].values() for s in one["fitted_on"]})
