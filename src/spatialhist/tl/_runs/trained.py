"""What predicts slides, whatever it was trained as."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from spatialhist.tl._data.design import Design
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.protocol import Predictor
from spatialhist.tl._runs.manifest import Manifest
from spatialhist.tl._runs.residuals import HeldOut
from spatialhist.tl._runs.restored import Restored
from spatialhist.tl._scores.card_file import read_card


@runtime_checkable
class Trained(Protocol):
    """What :func:`predict` and its kin take: a cross-validation, its stack, or a model fitted on everything.

    Attributes
    ----------
    folder
        Where it lies.
    manifest
        Parameters, training slides and versions of the run.
    models
        The predictors.
    """

    if TYPE_CHECKING:
        # at run time a dataclass would take an inherited property for the default of its field
        @property
        def folder(self) -> Path: ...

        @property
        def manifest(self) -> Manifest: ...

        @property
        def models(self) -> tuple[Predictor, ...]: ...

        @property
        def _restored(self) -> Restored: ...

        @property
        def _encoder(self) -> Any: ...

    fitted_on_everything: ClassVar[bool] = False
    """Whether no fold left out the slides that it was trained on, so that it repeats their labels."""

    @property
    def name(self) -> str:
        """How the record of a layer calls it."""
        return "+".join(m.name for m in self.models)

    @property
    def run_folder(self) -> Path:
        """Folder of the run behind it."""
        return self.folder

    @property
    def run_id(self) -> str:
        """Hash of parameters and data of the run; layers carry it."""
        return self.manifest.run_id

    @property
    def genes(self) -> list[str]:
        """Genes that it predicts, those of all panels, in the order of the run's columns."""
        return self.manifest.genes

    @property
    def threads(self) -> int:
        """Threads that the run was pinned to."""
        return self.manifest.threads

    @property
    def needs_tiles(self) -> bool:
        """Whether any model looks at pixels."""
        return any(m.needs_tiles for m in self.models)

    @property
    def in_ranks(self) -> bool:
        """Whether predictions are ranks."""
        return bool(self.manifest.ranking)

    def design(self, encoder: Any = None) -> Design:
        """What it looks at; an encoder that has no name must be handed in again, one that is downloaded confirmed by name.

        Raises
        ------
        ValueError
            If it is not.
        """
        return self.manifest.restore_design(self._encoder if encoder is None else encoder)

    def card(self) -> dict[str, Any]:
        """Scores and genes, as evaluated on held-out groups; empty for a model that was not evaluated."""
        return read_card(self.folder)

    def trained_on(self, pixels: str) -> str | None:
        """Name of the training slide with these pixels."""
        return self.manifest.trained_on(pixels)

    @abstractmethod
    def as_training(self, slide: str) -> str:
        """Say in words how a slide that was trained on is predicted.

        Raises
        ------
        ValueError
            If it is not, since no fold left it out; the message names what to do.
        """

    def check_slide(self, training_slide: str | None) -> None:
        """Refuse a slide that was trained on and that no fold left out.

        Raises
        ------
        ValueError
            As :meth:`as_training`.
        """
        if training_slide is not None:
            self.as_training(training_slide)

    def predicts_as(self, slide: str, training_slide: str | None) -> str:
        """Say in words what a slide is to the model."""
        if training_slide is not None:
            return f"training slide {training_slide}, {self.as_training(training_slide)}"
        other = slide in self.manifest.slides
        return "new slide" + (", not the training slide of this name: its pixels differ" if other else "")

    def repeats_labels(self, training_slide: str | None) -> bool:
        """Whether the model was fitted on the labels of the slide it predicts."""
        return training_slide is not None and self.fitted_on_everything

    @abstractmethod
    def predict(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Predict ``(n, genes)``; a slide that was trained on is predicted by the fold that left it out.

        Raises
        ------
        ValueError
            If a model was fitted on the slide and no fold left it out.
        """

    def out_of_distribution(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Score ``(n,)`` of how far the samples lie from training spots of other groups; see ``TrainingFeatures``."""
        # a model fitted on everything has no groups, and its slides are scored as new ones are
        group = None if training_slide is None else self.manifest.group_of.get(training_slide)
        held_out = None if group is None else self.manifest.groups.index(group)
        return self._restored.training_features(self.run_folder).score(samples.features, held_out=held_out)

    def n_features(self) -> int:
        """Features of all fields of view."""
        return len(self._restored.training_features(self.run_folder).reducer.mean)

    @abstractmethod
    def held_out(self) -> HeldOut:
        """Predictions of groups that were held out, and how far they were off.

        Raises
        ------
        NoResiduals
            If there are none, or none that are honest.
        """

    @abstractmethod
    def opened(self, *, allow_training: bool = False) -> Self:
        """Return a handle for one call, which reads every fit once and forgets it with the call.

        Parameters
        ----------
        allow_training
            Let a model fitted on everything predict slides it was fitted on.
        """
