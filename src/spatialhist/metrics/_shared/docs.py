"""What the documentation of every score of truth against prediction says alike, written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Score = TypeVar("Score", bound=Callable[..., Any])

PAIR = """Parameters
----------
truth
    Measured values, shape (n_spots, n_targets).
predicted
    Predicted values, same shape. A target that is NaN in every spot of either is left out."""

RAISES = """Raises
------
ValueError
    If the shapes differ, there is no spot, or a target has values in some spots only."""


def paired(score: Score) -> Score:
    """Put the shared sections in the places of ``%(pair)s`` and ``%(raises)s``."""
    score.__doc__ = inspect.cleandoc(score.__doc__ or "") % {"pair": PAIR, "raises": RAISES}
    return score
