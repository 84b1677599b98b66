"""Widths of the intervals of predictions, from the groups that were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialhist.tl._scores.intervals import coverage, group_radius

if TYPE_CHECKING:
    from spatialhist.tl._runs.residuals import HeldOut


@dataclass(frozen=True)
class Widths:
    """How far predictions may be off.

    Attributes
    ----------
    new
        Half widths of the intervals of a slide of a new group, one a gene.
    by_group
        Those of every group that was held out.
    covered
        Share of the measurements of every group that lie inside.
    """

    new: np.ndarray
    by_group: dict[str, np.ndarray]
    covered: dict[str, float]

    @classmethod
    def of(cls, held: HeldOut, level: float) -> Widths:
        """Take them from the residuals of groups that were held out."""
        # absolute, so that an interval reaches as far up as down
        errors, group = np.abs(held.residuals()), held.group
        radius = {g: group_radius(np.abs(held.residuals_without(g)), group, level) for g in held.groups}
        return cls(group_radius(errors, group, level), radius, coverage(errors, group, radius))

    def of_group(self, group: str | None) -> np.ndarray:
        """Half widths for a group, None for a new one."""
        return self.new if group is None else self.by_group[group]
