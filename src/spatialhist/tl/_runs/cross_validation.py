"""A finished cross-validation: a handle on its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.files import BROKEN, intact
from spatialhist.tl._data.samples import Inputs, Samples
from spatialhist.tl._predictors.combiners import Mean, combine
from spatialhist.tl._predictors.protocol import FittedCombiner, Predictor
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.manifest import CROSS_VALIDATION, MANIFEST, Manifest, restore_predictors
from spatialhist.tl._runs.plan import inner_fits, outer_fits
from spatialhist.tl._runs.residuals import HeldOut
from spatialhist.tl._runs.restored import Restored
from spatialhist.tl._runs.trained import Trained

LATEST = "cross_validate"
"""Entry of ``uns`` that names the latest run for each target."""


@dataclass(frozen=True)
class CrossValidation(Trained):
    """What :func:`cross_validate` returns; everything lies in ``folder``, and a folder can be loaded again.

    Attributes
    ----------
    folder
        The run folder.
    manifest
        Parameters, groups, panels, versions: what every number of the run has seen.
    models, baselines
        The predictors.
    """

    folder: Path
    manifest: Manifest = field(repr=False)
    models: tuple[Predictor, ...]
    baselines: tuple[Predictor, ...]
    _temporary: Any = field(default=None, repr=False, compare=False)
    _restored: Restored = field(default_factory=Restored, repr=False, compare=False)
    _encoder: Any = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the temporary folder to the process that made it."""
        return {**self.__dict__, "_temporary": None}

    @classmethod
    def load(cls, folder: str | Path, *, models: Sequence[Predictor] = (), encoder: Any = None) -> CrossValidation:
        """Load a run folder; predictors of your own must be handed in again, an encoder that is no name or downloaded too.

        Raises
        ------
        FileNotFoundError, ValueError
            If the folder holds no run, a broken one, or one of a newer version.
        """
        manifest = Manifest.read(Path(folder), CROSS_VALIDATION)
        with intact(Path(folder) / MANIFEST):
            cv = cls(
                Path(folder),
                manifest,
                restore_predictors(manifest.models, models),
                restore_predictors(manifest.baselines),
                _encoder=encoder,
            )
            # asks for the panel of every group, so that a broken manifest fails here and not in a prediction
            cv.outer()
        # refuses an encoder that is not the one of training now, not at the first prediction
        if encoder is not None:
            manifest.restore_design(encoder)
        return cv

    @property
    def groups(self) -> list[str]:
        """Held-out groups, in the order of their numbers."""
        return self.manifest.groups

    @property
    def panels(self) -> dict[str, tuple[int, ...]]:
        """Columns that each outer fold models."""
        return self.manifest.panels

    @property
    def inputs(self) -> Inputs:
        """Spots of the run."""
        return Inputs.open(self.folder / "inputs")

    def outer(self) -> dict[tuple[str, str], Fit]:
        """Fits by (group, predictor name)."""
        return outer_fits(self.folder, self.groups, [*self.models, *self.baselines], self.panels, **self._common())

    def inner(self) -> dict[tuple[str, str, str], Fit]:
        """Fits by (outer group, predicted group, model name)."""
        return inner_fits(self.folder, self.groups, self.models, self.panels, **self._common())

    def _common(self) -> dict[str, int]:
        return {"seed": self.manifest.seed, "threads": self.manifest.threads}

    def out_of_fold(self, name: str) -> np.ndarray:
        """Out-of-fold predictions of one predictor ``(spots, genes)``; NaN outside a fold's panel."""
        fits = self.outer()
        result = np.full((len(self.inputs), len(self.genes)), np.nan, dtype=np.float32)
        for group in self.groups:
            rows, predicted = fits[group, name].result()
            with intact(fits[group, name].folder, errors=(*BROKEN, ValueError)):
                result[np.ix_(rows, np.asarray(self.panels[group]))] = predicted
        return result

    def targets(self, rows: np.ndarray, group: str) -> np.ndarray:
        """Targets of some spots as the fold of a group models them."""
        return self.inputs.samples(rows, self.panels[group]).training_targets

    def as_training(self, slide: str) -> str:
        """Say which fold predicts a slide that was trained on."""
        return f"by the fold that left out group {self.manifest.group_of[slide]}"

    def combiner(self, group: str | None) -> FittedCombiner:
        """How models are combined to predict a group that was held out, or a new slide: several are averaged."""
        return Mean()

    def predict(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Predict ``(n, genes)``; a slide that was trained on is predicted by the fold that left it out."""
        return self.predict_combined(samples, training_slide, self.combiner)

    def predict_combined(
        self, samples: Samples, training_slide: str | None, combiner: Callable[[str | None], FittedCombiner]
    ) -> np.ndarray:
        """Predict ``(n, genes)``, with the combiner of the slide's group, of None for a new slide."""
        if training_slide is None:
            return combine(combiner(None), self._mean_over_folds(samples))
        group = self.manifest.group_of[training_slide]
        values = np.full((len(samples), len(self.genes)), np.nan, dtype=np.float32)
        values[:, self.panels[group]] = combine(combiner(group), self.predict_each(samples, [group]))
        return values

    def predict_each(self, samples: Samples, groups: Sequence[str]) -> np.ndarray:
        """What the models of some folds say, ``(folds * models, n, genes)`` of the panel that these folds share."""
        outer = self.outer()
        fits = [outer[group, m.name] for group in groups for m in self.models]
        return np.stack([self._restored.predict(fit, samples) for fit in fits])

    def _mean_over_folds(self, samples: Samples) -> np.ndarray:
        """Mean of every model's folds ``(models, n, genes)``; a gene is averaged over the folds that modeled it."""
        outer, means = self.outer(), []
        for m in self.models:
            total = np.zeros((len(samples), len(self.genes)))
            count = np.zeros(len(self.genes))
            for group in self.groups:
                columns = list(self.panels[group])
                total[:, columns] += self._restored.predict(outer[group, m.name], samples)
                count[columns] += 1
            means.append((total / count).astype(np.float32))
        return np.stack(means)

    def held_out(self) -> HeldOut:
        """Predictions of groups that were held out, averaged over the models, and how far they were off."""
        return HeldOut(self, self.combiner)

    def opened(self, *, allow_training: bool = False) -> CrossValidation:
        """Return a handle for one call, which reads every fit once and forgets it with the call."""
        return replace(self, _restored=Restored())
