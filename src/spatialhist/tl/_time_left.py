"""How long the fits that are left will take, from those that are done."""

from __future__ import annotations

import math
from collections.abc import Sequence

SHORT = 60.0
"""Seconds that nobody needs to be told of."""


class TimeLeft:
    """Measures fits by model, and speaks once: when one fit of each model is done.

    Parameters
    ----------
    names
        Model of every fit, in the order in which they end.
    workers
        Fits that run at once.
    """

    def __init__(self, names: Sequence[str], workers: int) -> None:
        self._names, self._workers = list(names), workers
        self._seconds: dict[str, float] = {}
        self._said = False

    def add(self, position: int, seconds: float) -> str | None:
        """Note that a fit took so many seconds; returns what there is to say, or None."""
        self._seconds.setdefault(self._names[position], seconds)
        left = self._names[position + 1 :]
        if self._said or set(left) - set(self._seconds):
            return None
        self._said = True
        rest = sum(self._seconds[name] for name in left) / self._workers
        if rest < SHORT:
            return None
        slowest = max(self._seconds, key=lambda name: self._seconds[name])
        return (
            f"by the first fit of each model about {math.ceil(rest / 60)} min are left; "
            f"{slowest} is the slowest, {self._seconds[slowest]:.0f} s a fit"
        )
