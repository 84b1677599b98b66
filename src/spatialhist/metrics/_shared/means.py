"""The mean of the headline: values within slides, then slides within groups. It is taken nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def slide_means(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.Series:
    """Average ``value`` within every ``slide`` of a ``group``; NaN is left out. ``by`` says what is kept apart."""
    return rows.groupby([*by, "group", "slide"], sort=False)["value"].mean()


def group_means(slides: pd.Series) -> pd.Series:
    """Average the slides of every group; a group counts the same, however many slides it has."""
    return slides.groupby(level=[name for name in slides.index.names if name != "slide"], sort=False).mean()
