"""Check every spot, and drop those that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.checks import check_range
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import get_counts
from spatialhist._sdata.layers import get_layer, record, recorded
from spatialhist._sdata.subset import keep_spots
from spatialhist._sdata.values import as_ids, finite_rows, word
from spatialhist.pp._tissue.disc import disc_share

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

STEP = "filter_spots"
STEP_CALL = "sh.pp.filter_spots(sdata"
OK = _keys.QC_REASONS[-1]
BY_LABELS = ("nan", "low_activity")


def filter_spots(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    drop: bool = True,
    min_counts: float = 50,
    min_tissue: float = 0.1,
    max_mads: float | None = None,
    layer: str | None = None,
    table_key: str = _keys.TABLE,
) -> None:
    """Give every spot the first reason not to use it, and drop the spots that have one.

    The reasons, in the order in which they are checked:

    ================= ==================================================================================
    ``nan``           a measurement or a coordinate is not finite
    ``duplicate``     an earlier spot of the slide has the same position
    ``out_of_bounds`` the center lies outside the image
    ``not_in_tissue`` the reader's flag ``obs["in_tissue"]`` says so
    ``off_tissue``    less than ``min_tissue`` of the spot's disc lies on tissue
    ``low_activity``  the total is below ``min_counts``, or far below that of the slide (``max_mads``)
    ``ok``            none of these
    ================= ==================================================================================

    Spots without measurements (``obs["measured"]`` is False) are checked by their position alone.

    Parameters
    ----------
    sdata
        The cohort.
    slides
        Slides to check; all if None.
    drop
        Drop the spots that are not ``ok`` from table and shapes, and from every other table of the same spots;
        otherwise only mark them. Tables in ``sdata`` are replaced; one taken out of it before is not changed.
    min_counts
        Smallest total of a spot; 0 for values that are not counts, which any other value warns of.
    min_tissue
        Smallest share of a spot's disc on tissue. The default keeps spots on the border of a section, whose
        measurements are real, and drops those that touch no more than its edge; 0 needs no tissue mask.
    max_mads
        Also call a spot low in activity whose log total is more than this many median absolute deviations below the
        median of its slide.
    layer
        What is checked for NaN and summed; X if None.
    table_key
        Name of the table.

    Returns
    -------
    None
        Adds ``obs["spot_qc"]``, categorical, missing where a slide was never checked, and
        ``uns["spatialhist"]["filter_spots"]``: ``counts`` of spots per slide and reason, which stay when spots are
        dropped, ``dropped``, those that are gone, and ``dropped_by_labels``, the ids of those that went because of
        their measurements (``nan`` or ``low_activity``): scores on the rest know what was measured.

    Raises
    ------
    KeyError
        If a slide has no image, or no tissue mask while ``min_tissue`` is above 0.
    ValueError
        If a slide would lose all its spots, or a limit is out of its range.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.filter_spots(sdata)
    >>> sdata["table"].obs["spot_qc"].unique().tolist()
    ['ok']
    """
    check_range("min_tissue", min_tissue, 0, 1)
    check_range("max_mads", 0 if max_mads is None else max_mads, 0)
    cohort = open_cohort(sdata, slides, table_key=table_key)
    sums = min_counts > 0 or max_mads is not None
    # counts are asked for only where they are compared: NaN can be looked for in anything
    matrix = get_counts(cohort, layer, step=STEP_CALL) if sums else get_layer(cohort.table, layer)
    reasons = _previous(cohort.table)
    for slide in cohort.every_slide():
        reasons[slide.rows] = _reasons(slide, matrix[slide.rows], min_counts, min_tissue, max_mads)
    if drop:
        _check_spots_left(cohort.every_slide(), reasons)
    params = {"min_counts": min_counts, "min_tissue": min_tissue, "max_mads": max_mads, "layer": layer or "X"}
    counts = _write(cohort.table, cohort.every_slide(), reasons, params, drop)
    if drop:
        keep_spots(cohort, (reasons == OK) | ~np.isin(cohort.slide_of_row(), cohort.slides))
    for name, found in counts.items():
        logger.info("%s obs['spot_qc'] of slide %s: %s", "filtered by" if drop else "added", name, found)


def _previous(table: AnnData) -> np.ndarray:
    """Reasons given by an earlier call, for the slides that this one does not check."""
    if _keys.SPOT_QC in table.obs:
        found = table.obs[_keys.SPOT_QC].astype(object)
        return found.map(word, na_action="ignore").to_numpy(dtype=object, copy=True)
    return np.full(table.n_obs, None, dtype=object)


def _reasons(slide: Slide, matrix: Any, min_counts: float, min_tissue: float, max_mads: float | None) -> np.ndarray:
    """Return the first reason of every spot of a slide."""
    measured, xy, image = slide.measured, slide.centers(), slide.image().pyramid
    # in double precision, so that a spot at the limit does not depend on the order of a sum
    totals = np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    nan = ~np.isfinite(xy).all(axis=1) | (measured & ~finite_rows(matrix))
    flags = {
        "nan": nan,
        "duplicate": _duplicates(xy, nan),
        "out_of_bounds": ((xy < 0) | (xy > (image.width, image.height))).any(axis=1),
        "not_in_tissue": ~slide.in_tissue,
        "off_tissue": _off_tissue(slide, xy, min_tissue),
        "low_activity": measured & _low_activity(totals, measured & ~nan, min_counts, max_mads),
    }
    # the first that holds wins, so the order above is that of the reasons
    return np.select(list(flags.values()), list(flags), default=OK).astype(object)


def _duplicates(xy: np.ndarray, nan: np.ndarray) -> np.ndarray:
    """Spots at the position of an earlier usable spot."""
    found = np.zeros(len(xy), dtype=bool)
    found[~nan] = pd.DataFrame(xy[~nan]).duplicated().to_numpy()
    return found


def _off_tissue(slide: Slide, xy: np.ndarray, min_tissue: float) -> np.ndarray:
    if min_tissue <= 0:
        return np.zeros(len(xy), dtype=bool)
    mask, pixel = slide.tissue
    radius = slide.spot_diameter_px / 2 / slide.image().px
    return disc_share(mask, xy, radius, pixel) < min_tissue


def _low_activity(totals: np.ndarray, usable: np.ndarray, min_counts: float, max_mads: float | None) -> np.ndarray:
    low = totals < min_counts
    if max_mads is None or not usable.any():
        return low
    # of logarithms, since totals are skewed: a few deviations below their median may be less than 0
    logs = np.log1p(np.maximum(totals, 0))
    median = np.median(logs[usable])
    # only below: many counts are no reason to drop a spot
    return low | (logs < median - max_mads * np.median(np.abs(logs[usable] - median)))


def _check_spots_left(slides: Sequence[Slide], reasons: np.ndarray) -> None:
    for slide in slides:
        of_slide = reasons[slide.rows]
        if not (of_slide == OK).any():
            found = pd.Series(of_slide).value_counts().to_dict()
            raise ValueError(
                f"slide {slide.name!r} would lose all its spots: {found}; lower min_counts or min_tissue, or look at the "
                f"slide with drop=False and sh.pl.alignment(sdata, {slide.name!r})"
            )


def _write(
    table: AnnData, slides: Sequence[Slide], reasons: np.ndarray, params: dict[str, Any], drop: bool
) -> dict[str, dict[str, int]]:
    """Write reasons and counts; what earlier calls dropped stays in the counts."""
    before = recorded(table, STEP)
    counts, dropped = dict(before.get("counts", {})), dict(before.get("dropped", {}))
    by_labels = {s: list(ids) for s, ids in before.get("dropped_by_labels", {}).items()}
    for slide in slides:
        name, now = slide.name, reasons[slide.rows]
        gone = dropped.get(name, {})
        counts[name] = {r: int((now == r).sum()) + int(gone.get(r, 0)) for r in _keys.QC_REASONS}
        dropped[name] = {**counts[name], OK: 0} if drop else gone
        if drop:
            ids = as_ids(table.obs[_keys.INSTANCE])[slide.rows]
            by_labels[name] = by_labels.get(name, []) + [str(i) for i in ids[np.isin(now, BY_LABELS)]]
    table.obs[_keys.SPOT_QC] = pd.Categorical(reasons, categories=_keys.QC_REASONS)
    found = {"counts": counts, "dropped": dropped, "dropped_by_labels": by_labels}
    record(table, STEP, {**params, "drop": drop, **found})
    return {slide.name: counts[slide.name] for slide in slides}
