"""A model fitted on everything: a handle on its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.files import intact
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.combiners import Mean
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.manifest import MANIFEST, MODEL, Manifest, restore_predictors
from spatialhist.tl._runs.residuals import HeldOut, NoResiduals
from spatialhist.tl._runs.restored import Restored
from spatialhist.tl._runs.trained import Trained


@dataclass(frozen=True)
class Model(Trained):
    """What :func:`fit` returns; everything lies in ``folder``.

    Attributes
    ----------
    folder
        The model folder.
    manifest
        Parameters, panel, training slides, versions.
    models
        The predictors, whose predictions are averaged.
    allow_training
        Whether it predicts slides that it was fitted on.
    """

    fitted_on_everything: ClassVar[bool] = True

    folder: Path
    manifest: Manifest = field(repr=False)
    models: tuple[Predictor, ...]
    _temporary: Any = field(default=None, repr=False, compare=False)
    allow_training: bool = field(default=False, repr=False)
    _restored: Restored = field(default_factory=Restored, repr=False, compare=False)
    _encoder: Any = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the temporary folder to the process that made it."""
        return {**self.__dict__, "_temporary": None}

    @classmethod
    def load(cls, folder: str | Path, *, models: Sequence[Predictor] = (), encoder: Any = None) -> Model:
        """Load a model folder; predictors of your own must be handed in again, an encoder that is no name or downloaded too.

        Raises
        ------
        FileNotFoundError, ValueError
            If the folder holds no model, a broken one, or one of a newer version.
        """
        manifest = Manifest.read(Path(folder), MODEL)
        with intact(Path(folder) / MANIFEST):
            model = cls(Path(folder), manifest, restore_predictors(manifest.models, models), _encoder=encoder)
            # asks for what every fit needs, so that a broken manifest fails here and not in a prediction
            model.fits()
        if encoder is not None:
            manifest.restore_design(encoder)
        return model

    def fits(self) -> list[Fit]:
        """One fit a predictor."""
        seed, threads = self.manifest.seed, self.manifest.threads
        every = tuple(range(len(self.genes)))
        full = self.folder / "full"
        return [Fit(p, (), every, full / _keys.sanitize(p.name), seed, threads) for p in self.models]

    def as_training(self, slide: str) -> str:
        """Say how a slide that it was fitted on is predicted.

        Raises
        ------
        ValueError
            Unless ``allow_training``.
        """
        if not self.allow_training:
            raise ValueError(
                f"slide {slide!r} was trained on: the model would repeat its labels. Predict it with the "
                "cross-validation, whose folds left it out, pass slides= without it, or, if that is what you want, "
                "allow_training=True"
            )
        return "by a model fitted on its labels"

    def predict(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Predict ``(n, genes)``, the mean of the models.

        Raises
        ------
        ValueError
            If it was fitted on the slide, unless ``allow_training``.
        """
        self.check_slide(training_slide)
        return Mean().apply(np.stack([self._restored.predict(fit, samples) for fit in self.fits()]))

    def held_out(self) -> HeldOut:
        """Nothing was held out.

        Raises
        ------
        NoResiduals
            Always.
        """
        raise NoResiduals(
            "a model fitted on everything leaves no residuals: pass the cross-validation of the same models"
        )

    def opened(self, *, allow_training: bool = False) -> Model:
        """Return a handle for one call, which reads every fit once and forgets it with the call."""
        return replace(self, allow_training=allow_training, _restored=Restored())
