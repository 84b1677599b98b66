"""Any predictor, trained on targets that owe less to the depth of the spots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from spatialhist._runtime.checks import check_range
from spatialhist.pp._expression.depth import divided_by_depth
from spatialhist.tl._predictors.linear import Ridge

if TYPE_CHECKING:
    from pathlib import Path

    from spatialhist.tl._data.samples import Samples
    from spatialhist.tl._predictors.protocol import Fitted, Predictor, State


@dataclass(frozen=True)
class DepthAdjusted:
    """Train any predictor on targets of which depth explains less.

    Much of a correlation with ``log1p`` is earned by predicting how many molecules were counted in a spot. Targets are
    therefore divided into what the depth of the spot (its log total counts and their square) explains within the slide, and
    the rest. Of the first a share is kept; the second counts in proportion to the square root of the total counts, since
    the values of shallow spots are mostly noise. What is predicted stays in the units of the layer, and is scored against
    what was measured, with and without depth.

    Parameters
    ----------
    predictor
        What is trained.
    share
        How much is kept of what depth explains, 0 to 1. At 1 the model answers what ``log1p`` of a spot is, and scores best
        by ``pearson``; at 0 it answers what a spot expresses beyond its depth, and scores best by
        ``pearson_beyond_depth``.
    name
        Name of its layer.

    Raises
    ------
    ValueError
        If the share is not 0 to 1.

    Notes
    -----
    The layer that is predicted must have been made from counts. Every slide is adjusted by itself, on training slides
    alone; a slide that is predicted needs no counts.

    Examples
    --------
    >>> import spatialhist as sh
    >>> models = ["ridge", sh.tl.DepthAdjusted(sh.tl.Ridge(), share=0.5)]
    >>> [sh.tl.check_predictor(sh.tl.DepthAdjusted(sh.tl.Ridge(components=4)))]
    [[]]
    """

    kind: ClassVar[str] = "model"
    needs_depth: ClassVar[bool] = True
    predictor: Predictor = Ridge()
    share: float = 0.75
    name: str = "depth_adjusted"

    def __post_init__(self) -> None:
        check_range("share", self.share, 0, 1)

    @property
    def needs_tiles(self) -> bool:
        """Whether what is trained looks at pixels besides features."""
        return self.predictor.needs_tiles

    def fit(self, samples: Samples, *, seed: int, scratch: Path) -> Fitted:
        """Fit on adjusted targets."""
        adjusted = replace(samples, targets=adjusted_targets(samples, self.share))
        return self.predictor.fit(adjusted, seed=seed, scratch=scratch)

    def restore(self, state: State) -> Fitted:
        """Rebuild from arrays."""
        return self.predictor.restore(state)


def adjusted_targets(samples: Samples, share: float) -> np.ndarray:
    """Targets ``(n, genes)`` with a share of what depth explains, and the rest weighted by the precision of the spot."""
    targets, total = samples.training_targets, samples.training_depth
    adjusted = np.empty_like(targets)
    for name in np.unique(samples.slide):
        rows = samples.slide == name
        level, explained, rest = divided_by_depth(targets[rows].astype(np.float64), total[rows])
        precision = np.sqrt(total[rows])[:, None]
        # the floor is for a slide without a single count
        adjusted[rows] = level + share * explained + rest * precision / max(precision.mean(), 1e-12)
    return adjusted


PRESETS = (DepthAdjusted(),)
