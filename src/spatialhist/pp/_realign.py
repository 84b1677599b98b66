"""Putting spots where they belong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.alignment import alignment, set_alignment
from spatialhist._sdata.cohort import open_cohort
from spatialhist._sdata.counts import get_counts
from spatialhist._sdata.geometry import apply
from spatialhist._sdata.layers import record_slides
from spatialhist._sdata.scale import slide_info
from spatialhist.pp._registration.activity import MIN_LEAD, Activity
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
        Moves the spots by a transformation of their shapes, refreshes ``obsm["spatial"]`` of every table of these spots,
        and logs one line a slide: how far it was moved, or why not (a warning where it could not be placed). Adds
        ``sdata.attrs["spatialhist"]["slides"][slide]["alignment_report"]``: ``matrix`` (3x3, slide coordinates),
        ``accepted``, ``reason``, ``use_expression``, ``footprint_matrix`` (the move without looking at expression), and
        what the position was chosen by. By the footprint this is its overlap with the tissue (Dice), ``overlap_before``
        and ``overlap_after``, ``overlap_random`` (99 % quantile over random registrations), ``overlaps_random`` (all of
        these, sorted) and ``sharpness`` (how far the overlap falls a unit away; 1 is ideal). By expression it is the
        correlation of log total expression and hematoxylin, ``correlation_before``, ``correlation_after``,
        ``correlation_random``, ``correlations_random``, and ``log_likelihood_lead`` over the best position elsewhere.

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
    check_choice("model", model, Model)
    if not max_shift > 0:
        raise ValueError(f"max_shift={max_shift} is not a positive number of spot spacings")
    cohort = open_cohort(sdata, slides, table_key=table_key)
    options = {"model": model, "orientations": orientations, "max_shift": max_shift, "seed": seed}
    values = get_counts(cohort, layer, step="sh.pp.realign(sdata, use_expression=True") if use_expression else None
    # all slides are registered before any is moved: an error leaves the object as it was
    reports = {slide.name: _report(slide, values, options) for slide in cohort.every_slide()}
    for slide, report in reports.items():
        matrix = np.array(report["matrix"])
        # moving spots where they are would still add rounding errors
        if not np.array_equal(matrix, alignment(sdata, slide)):
            set_alignment(sdata, cohort.table, slide, matrix)
        slide_info(sdata, slide)["alignment_report"] = report
    record_slides(cohort.table, "realign", {s: {**options, **_arrays(r)} for s, r in reports.items()})


def _report(slide: Slide, values: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Register one slide, and say how far its spots move, or why not."""
    best = footprint = _register(slide, _in_tissue(slide), None, options)
    # spots without measurements have no activity, and would look like glass
    if values is not None and slide.measured.all():
        best = _register(slide, np.ones(len(slide.rows), bool), _activity(values[slide.rows]), options)
    if best.scores.get(Activity.certainty_is, MIN_LEAD) < MIN_LEAD:
        best = footprint
    by_expression = best is not footprint
    _log(slide, best, by="" if values is None else "expression" if by_expression else "footprint")
    to_slide = slide.image().to_slide

    def in_slide(matrix: np.ndarray) -> list[list[float]]:
        return (to_slide @ matrix @ np.linalg.inv(to_slide)).tolist()

    return {
        "matrix": in_slide(best.matrix),
        "accepted": best.accepted,
        "reason": best.reason,
        "use_expression": by_expression,
        "footprint_matrix": in_slide(footprint.matrix),
        **best.scores,
    }


def _log(slide: Slide, found: Registration, *, by: str) -> None:
    """One line: what was done to a slide, by how much, or why not."""
    why = f" by its {by}" if by else ""
    if found.accepted:
        xy = slide.original_spots
        way = float(np.nanmean(np.linalg.norm(apply(found.matrix, xy) - xy, axis=1)))
        turn = float(np.degrees(np.arctan2(found.matrix[1, 0], found.matrix[0, 0])))
        spacings = way / slide.px(("pitch", 1.0))
        logger.info("slide %r: moved%s by %.2f spot spacings (%.1f px), rotated by %.1f°, %s", slide.name, why, spacings,
                    way, turn, _scores(found))  # fmt: skip
    elif found.stays:
        logger.info("slide %r: not moved%s, %s, %s", slide.name, why, found.reason, _scores(found))
    else:
        logger.warning("slide %r: could not be placed%s and stays as it was read: %s", slide.name, why, found.reason)


def _scores(found: Registration) -> str:
    measure = next(key.removesuffix("_before") for key in found.scores if key.endswith("_before"))
    return f"{measure} {found.scores[f'{measure}_before']:.2f} → {found.scores[f'{measure}_after']:.2f}"


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


def _register(slide: Slide, keep: np.ndarray, activity: np.ndarray | None, options: dict[str, Any]) -> Registration:
    xy = slide.original_spots
    keep = keep & np.isfinite(xy).all(axis=1)
    if keep.sum() < MIN_SPOTS:
        return Registration(np.eye(3), False, f"{keep.sum()} spots are too few, {MIN_SPOTS} are needed")
    pixels, mask, factors = overview(slide)
    pitch = slide.px(("pitch", 1.0))
    if activity is None:
        # whoever places spots by eye looks at what is stained, not at where it fades out
        return register(stain_amount(pixels, mask), factors, xy[keep], pitch, **options)
    return register(hematoxylin_amount(pixels, mask), factors, xy[keep], pitch, activity=activity[keep], **options)
