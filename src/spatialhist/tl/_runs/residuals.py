"""How far predictions were off on groups that were held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spatialhist._sdata.composition import as_composition
from spatialhist.tl._predictors.combiners import combine

if TYPE_CHECKING:
    from spatialhist.tl._data.samples import Inputs
    from spatialhist.tl._predictors.protocol import FittedCombiner, Predictor
    from spatialhist.tl._runs.fits import Fit


class NoResiduals(ValueError):
    """What was trained does not say how far its predictions are off."""


class Folds(Protocol):
    """Fits that left groups out: a cross-validation."""

    @property
    def models(self) -> Sequence[Predictor]:
        """Whose predictions are combined."""

    @property
    def groups(self) -> list[str]:
        """Held-out groups."""

    @property
    def genes(self) -> list[str]:
        """Genes of all panels."""

    @property
    def panels(self) -> dict[str, tuple[int, ...]]:
        """Columns that the fold of each group models."""

    @property
    def inputs(self) -> Inputs:
        """Spots."""

    def outer(self) -> dict[tuple[str, str], Fit]:
        """Fits by (group, predictor name)."""

    def inner(self) -> dict[tuple[str, str, str], Fit]:
        """Fits by (outer group, predicted group, model name)."""

    def targets(self, rows: np.ndarray, group: str) -> np.ndarray:
        """Targets of some spots as the fold of a group models them."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions of groups by models that left them out.

    Attributes
    ----------
    folds
        The fits.
    combiner
        How models are combined to predict a group that was held out.
    composition
        Whether predictions are made parts of a whole.
    """

    folds: Folds
    combiner: Callable[[str], FittedCombiner]
    composition: bool = False

    @property
    def groups(self) -> list[str]:
        """Held-out groups."""
        return self.folds.groups

    @property
    def group(self) -> np.ndarray:
        """Group of every spot of the run."""
        return self.folds.inputs.column("group")

    @property
    def nested(self) -> bool:
        """Whether the run holds fits that left two groups out; one of a single model does not."""
        return bool(self.folds.inner())

    def targets(self) -> np.ndarray:
        """What was measured ``(spots, genes)``."""
        every = np.arange(len(self.folds.inputs))
        return self.folds.inputs.samples(every, range(len(self.folds.genes))).training_targets

    def predictions(self) -> np.ndarray:
        """Predictions of every group ``(spots, genes)``, NaN outside its panel."""
        folds, outer, values = self.folds, self.folds.outer(), self._empty()
        for group in folds.groups:
            rows, _ = outer[group, folds.models[0].name].result()
            predictions = np.stack([outer[group, m.name].result()[1] for m in folds.models])
            values[np.ix_(rows, np.asarray(folds.panels[group]))] = self._combine(self.combiner(group), predictions)
        return values

    def residuals(self) -> np.ndarray:
        """Measured less predicted, for every spot by models that left its group out.

        Returns
        -------
        ndarray
            ``(spots, genes)`` of the run; NaN outside a fold's panel.
        """
        group, predicted, residuals = self.group, self.predictions(), self._empty()
        for name in self.groups:
            rows, columns = np.flatnonzero(group == name), np.asarray(self.folds.panels[name])
            residuals[np.ix_(rows, columns)] = self.folds.targets(rows, name) - predicted[np.ix_(rows, columns)]
        return residuals

    def residuals_without(self, evaluated: str) -> np.ndarray:
        """Measured less predicted, for the other groups' spots by models that saw neither their group nor the evaluated one.

        A run of one model, or of two groups, holds no fits without two groups: there the residuals of the other groups are those of
        :meth:`residuals`, whose models have seen the evaluated group.

        Returns
        -------
        ndarray
            ``(spots, genes)`` of the run; NaN for the evaluated group, and outside its panel.
        """
        if not self.nested:
            residuals = self.residuals()
            residuals[self.group == evaluated] = np.nan
            return residuals
        folds, inner, residuals = self.folds, self.folds.inner(), self._empty()
        combiner, group, columns = self.combiner(evaluated), self.group, np.asarray(folds.panels[evaluated])
        for other in (g for g in folds.groups if g != evaluated):
            rows, _ = inner[evaluated, other, folds.models[0].name].result()
            # the fit left out both groups, and only spots of the other one are to say how far it is off
            own = group[rows] == other
            each = np.stack([inner[evaluated, other, m.name].result()[1][own] for m in folds.models])
            residuals[np.ix_(rows[own], columns)] = folds.targets(rows[own], evaluated) - self._combine(combiner, each)
        return residuals

    def _combine(self, combiner: FittedCombiner, predictions: np.ndarray) -> np.ndarray:
        values = combine(combiner, predictions)
        return as_composition(values) if self.composition else values

    def _empty(self) -> np.ndarray:
        return np.full((len(self.folds.inputs), len(self.folds.genes)), np.nan, dtype=np.float32)
