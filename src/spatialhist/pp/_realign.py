"""Putting spots where they belong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.alignment import alignment, set_alignment
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import get_counts
from spatialhist._sdata.layers import record_slides
from spatialhist._sdata.scale import slide_info
from spatialhist.pp._registration.activity import MIN_LEAD
from spatialhist.pp._registration.register import Registration, register
from spatialhist.pp._registration.search import Model
from spatialhist.pp._registration.stain_amount import hematoxylin_amount, stain_amount
from spatialhist.pp._tissue.overview import overview

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist._sdata.slide import Slide

logger = logging.getLogger(__name__)

MIN_SPOTS = 12


def realign(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    model: Model = "rigid",
    orientations: bool = False,
    max_shift: float = 5.0,
    use_expression: bool = False,
    layer: str | None = None,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> None:
    """Move each slide's spots so that their footprint lies on the tissue.

    Parameters
    ----------
    sdata
        The cohort. The tissue mask of a slide is used if there is one, else one is computed and not kept.
    slides
        Slide ids; all if None.
    model
        ``"translation"``, ``"rigid"`` (with a rotation up to 12 degrees) or ``"similarity"`` (with a stretch up to
        10 % as well).
    orientations
        Also try flips and quarter turns of the whole image, as of an export with x and y swapped.
    max_shift
        Range of the search in spot spacings, in x and in y.
    use_expression
        Place spots by what they express instead: those that express much on nuclei, those that express little on
        glass and fat. It serves lattices that cover only a part of the tissue, or glass as well. This looks at the
        labels, so use it for viewing only: ``sh.tl`` takes its pixels where the footprint alone puts the spots.
        Slides without measurements, or whose expression does not determine a position, are placed by their footprint.
    layer
        What a spot's expression is summed over; X if None.
    seed
        For the random registrations of the ``null`` distribution.
    table_key
        The table.

    Returns
    -------
    None
        Moves the spots by a transformation of their shapes, refreshes ``obsm["spatial"]``, and adds
        ``sdata.attrs["spatialhist"]["slides"][slide]["alignment_report"]``: ``matrix`` (3x3, slide coordinates),
        ``score_before`` and ``score_after`` (overlap of footprint and tissue, Dice; or correlation of log total
        expression and hematoxylin), ``null`` (99 % quantile over random registrations), ``null_scores`` (all of
        these, sorted), ``sharpness`` (how far the score falls a unit away, 1 is ideal, for the footprint;
        log-likelihood over the best position elsewhere for expression), ``accepted``, ``reason``, ``use_expression``,
        and ``footprint_matrix``, the move without looking at expression.

    Raises
    ------
    KeyError
        If a slide, its image or the layer is missing.
    ValueError
        If the model is unknown or ``max_shift`` is not positive.

    Notes
    -----
    The search starts from the original spot coordinates, so running it twice changes nothing. Shifts are searched by FFT
    at each rotation, the best refined by Nelder-Mead. A simpler model is preferred unless the next one gains more than
    noise: the standard error over blocks of spots, or a log-likelihood of 3. The original coordinates stay when
    the best registration is within a quarter of the spot spacing, does not exceed random registrations, or could slide
    along the tissue, as footprints can that cover a part of it.
    Expression decides only where the best position is clearly likelier than every other a spot spacing or more away, by
    the correlations and the number of spots; spots whose neighbors are alike count together.

    Where ``obs["in_tissue"]`` tells spots on tissue from others, the footprint is that of spots on tissue.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.realign(sdata)
    >>> sdata.attrs["spatialhist"]["slides"]["S1"]["alignment_report"]["accepted"]
    False
    """
    if model not in get_args(Model):
        raise ValueError(f"model={model!r} is not one of {list(get_args(Model))}")
    if not max_shift > 0:
        raise ValueError(f"max_shift={max_shift} is not a positive number of spot spacings")
    cohort = open_cohort(sdata, slides, table_key=table_key)
    options = {"model": model, "orientations": orientations, "max_shift": max_shift, "seed": seed}
    values = get_counts(cohort, layer, step="sh.pp.realign(sdata, use_expression=True") if use_expression else None
    reports = {slide.name: _report(slide, values, options) for slide in cohort.every_slide()}
    for slide, report in reports.items():
        matrix = np.array(report["matrix"])
        if not np.array_equal(matrix, alignment(sdata, slide)):
            set_alignment(sdata, cohort.table, slide, matrix)
        slide_info(sdata, slide)["alignment_report"] = report
    record_slides(cohort.table, "realign", {s: {**options, **_arrays(r)} for s, r in reports.items()})
    logger.info("realigned slides %s", [s for s, r in reports.items() if r["accepted"]])


def _report(slide: Slide, values: Any, options: dict[str, Any]) -> dict[str, Any]:
    xy = slide.original_spots
    best = footprint = _register(slide, xy, _in_tissue(slide), None, options)
    activity = _activity(values[slide.rows]) if values is not None and slide.measured.all() else None
    if activity is not None:
        best = _register(slide, xy, np.ones(len(xy), bool), activity, options)
    if activity is not None and best.sharpness < MIN_LEAD:
        logger.info("slide %r is placed by its footprint: its expression does not determine a position", slide.name)
        best = footprint
    if not best.accepted:
        logger.info("slide %r stays as it was read: %s", slide.name, best.reason)
    to_slide = slide.image().to_slide

    def in_slide(matrix: np.ndarray) -> list[list[float]]:
        return (to_slide @ matrix @ np.linalg.inv(to_slide)).tolist()

    return {
        "matrix": in_slide(best.matrix),
        "score_before": best.score_before,
        "score_after": best.score_after,
        "null": best.null,
        "null_scores": best.null_scores.round(5).tolist(),
        "sharpness": best.sharpness,
        "accepted": best.accepted,
        "reason": best.reason,
        "use_expression": best is not footprint,
        "footprint_matrix": in_slide(footprint.matrix),
    }


def _arrays(report: dict[str, Any]) -> dict[str, Any]:
    """Matrices as arrays, which the table can hold."""
    return {key: np.array(value) if isinstance(value, list) else value for key, value in report.items()}


def _in_tissue(slide: Slide) -> np.ndarray:
    """Spots that the reader found on tissue; all where it does not say."""
    flag = slide.in_tissue
    return flag if flag.any() else ~flag


def _activity(values: Any) -> np.ndarray:
    """Log total expression of each spot."""
    totals = np.nan_to_num(np.asarray(values.sum(axis=1), dtype=float).ravel())
    return np.log1p(np.maximum(totals, 0))


def _register(
    slide: Slide,
    xy: np.ndarray,
    keep: np.ndarray,
    activity: np.ndarray | None,
    options: dict[str, Any],
) -> Registration:
    keep = keep & np.isfinite(xy).all(axis=1)
    if keep.sum() < MIN_SPOTS:
        return _identity(f"{keep.sum()} spots are too few, {MIN_SPOTS} are needed")
    pixels, mask, factors = overview(slide)
    pitch = slide.px(("pitch", 1.0))
    if activity is None:
        # whoever places spots by eye looks at what is stained, not at where it fades out
        return register(stain_amount(pixels, mask), factors, xy[keep], pitch, **options)
    return register(hematoxylin_amount(pixels, mask), factors, xy[keep], pitch, activity=activity[keep], **options)


def _identity(reason: str) -> Registration:
    return Registration(np.eye(3), 0.0, 0.0, 0.0, np.zeros(0), 0.0, False, reason)
