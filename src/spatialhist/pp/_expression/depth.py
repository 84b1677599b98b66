"""Depth of spots: which of them are told of, and values without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spatialhist._sdata.cohort import usable_rows
from spatialhist._sdata.slide import Slide
from spatialhist.metrics._depth import without_depth


def spots_by_slide(slides: Sequence[Slide]) -> dict[str, np.ndarray]:
    """Rows of the table that are measured and not marked, per slide that has some.

    Raises
    ------
    ValueError
        If there are none.
    """
    rows = usable_rows(slides)
    if not rows:
        raise ValueError(
            f"none of the slides {[s.name for s in slides]} has measured spots that passed pp.filter_spots"
        )
    return rows


def divided_by_depth(values: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide values of one slide into their means, what depth explains, and the rest; the three add up to the values.

    Parameters
    ----------
    values
        ``(spots, genes)``.
    total
        Total counts of every spot.

    Returns
    -------
    tuple
        Means ``(genes,)``; what log depth and its square explain, and what they leave, ``(spots, genes)``.
    """
    level = values.mean(axis=0)
    rest = without_depth(values, total)
    return level, values - level - rest, rest
