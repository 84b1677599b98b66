"""What a table of scores says of itself, so that it can be told whether it belongs to a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ABOUT = "spatialhist"
"""Key of ``DataFrame.attrs``."""


def describe_scores(
    scores: pd.DataFrame, *, runs: Sequence[str], truth: str, min_counts: int, told: Sequence[str]
) -> None:
    """Put into ``attrs`` of a table what it is made of; files that hold columns alone lose it.

    Parameters
    ----------
    scores
        The table.
    runs
        Ids of the runs whose predictions are scored.
    truth
        Layer of measurements.
    min_counts
        Spots of fewer counts are not scored.
    told
        What was warned of.
    """
    about: dict[str, Any] = {
        "runs": sorted({run for run in runs if run}),
        "truth": truth,
        "min_counts": int(min_counts),
    }
    scores.attrs[ABOUT] = about | {"told": list(told), "digests": digests(scores)}


def digests(scores: pd.DataFrame) -> dict[str, str]:
    """Hash of the values of every predictor and metric, in any order of rows; some of them may be left out later."""
    bare = scores[["predictor", "metric", "group", "slide", "target", "value"]]
    # pandas copies attrs whenever a column is taken
    bare.attrs = {}
    grouped = bare.groupby(["predictor", "metric"], sort=True)
    return {f"{predictor} {metric}": _digest(rows) for (predictor, metric), rows in grouped}


def edited(scores: pd.DataFrame) -> list[str]:
    """Predictors and metrics of a table whose values are no longer those that it says of itself."""
    known = scores.attrs.get(ABOUT, {}).get("digests", {})
    return [name for name, found in digests(scores).items() if known and known.get(name) != found]


def _digest(rows: pd.DataFrame) -> str:
    group, slide, target = (rows[name].astype(str).to_numpy(dtype=object) for name in ("group", "slide", "target"))
    names = group + "\n" + slide + "\n" + target
    # by names, so that sorting the table changes no hash
    order = np.argsort(names, kind="stable")
    values = rows["value"].to_numpy(dtype=np.float64)[order]
    return hashlib.blake2b("\0".join(names[order]).encode() + values.tobytes(), digest_size=8).hexdigest()
