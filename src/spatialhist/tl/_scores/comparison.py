"""Two predictors compared, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from spatialhist.tl._scores.metrics import label_of
from spatialhist.tl._scores.paired import SUBSETS, groups_for

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` returns. Printed, it says in words what the numbers show; :func:`spatialhist.pl.compare` draws it.

    Attributes
    ----------
    a, b
        The predictors.
    metric
        What they were scored by.
    table
        One row a group: the score of ``a``, that of ``b``, and ``difference``, a minus b.
    difference
        Mean over groups of a minus b.
    wins, losses, ties
        Groups in which ``a`` is better than, worse than, and as good as ``b``.
    p
        Of the exact sign-flip test, two-sided, and ``smallest_p``, the smallest that so many groups can reach.
    low, high, level
        Interval of the difference, and the level that it has: with fewer than six groups less than 95 %. NaN for one group.
    unit
        ``"groups"``, or ``"slides"`` where each slide is a group.
    left_out
        Slides that only one of the two predicts; they are not compared.
    beyond_depth
        The same comparison beyond depth, where ``metric`` is the headline and the scores hold it.
    """

    a: str
    b: str
    metric: str
    table: pd.DataFrame = field(repr=False)
    difference: float
    wins: int
    losses: int
    ties: int
    p: float
    smallest_p: float
    low: float
    high: float
    level: float
    unit: str = "groups"
    left_out: tuple[str, ...] = ()
    beyond_depth: Comparison | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        n = len(self.table)
        ties = f", as good in {self.ties}" if self.ties else ""
        lines = [
            f"{self.a} is better than {self.b} in {self.wins} of {n} {self._units(n)}{ties}: {label_of(self.metric)} "
            f"{self.table[self.a].mean():.3f} against {self.table[self.b].mean():.3f}",
            self._interval(),
            self._test(),
        ]
        if self.left_out:
            lines.append(f"not compared, since only one of them predicts these: slides {', '.join(self.left_out)}")
        if self.beyond_depth is not None:
            lines.append(self.beyond_depth.in_short())
        return "\n".join(lines)

    def in_short(self) -> str:
        """Say in one line which is better, and by how much."""
        n = len(self.table)
        return (
            f"{label_of(self.metric)}: {self.table[self.a].mean():.3f} against {self.table[self.b].mean():.3f}, difference "
            f"{self.difference:+.3f}, better in {self.wins} of {n} {self._units(n)}, p = {self.p:.3g}"
        )

    def _units(self, n: int) -> str:
        return self.unit if n != 1 else self.unit.removesuffix("s")

    def _interval(self) -> str:
        told = f"difference {self.difference:+.3f}"
        if np.isnan(self.low):
            return f"{told}; one {self._units(1)} has no interval"
        few = "" if self.level >= 1 - ALPHA else f", the widest that {len(self.table)} {self.unit} allow"
        return f"{told}, {100 * self.level:.3g} % interval {self.low:+.3f} to {self.high:+.3f}{few}"

    def _test(self) -> str:
        n = len(self.table)
        kind = "exact sign-flip" if 2**n <= SUBSETS else "sign-flip"
        told = f"{kind} test over {self.unit}: p = {self.p:.3g}"
        if self.smallest_p <= ALPHA:
            return told
        return (
            f"{told}; with {n} {self._units(n)} no test can be significant: the smallest p is {self.smallest_p:.3g}, "
            f"{groups_for(ALPHA)} {self.unit} are needed for {ALPHA:g}"
        )
