"""Trained models on samples: which fitted predictors may look at a slide, and how they are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist.tl._data.design import Design
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.combiners import Combiner, Mean
from spatialhist.tl._predictors.protocol import Fitted, Predictor
from spatialhist.tl._runs.as_written import AsWritten, fold_predictions
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.fits import Fit
from spatialhist.tl._runs.manifest import MODEL, parsed
from spatialhist.tl._runs.model import Model
from spatialhist.tl._runs.out_of_distribution import TrainingFeatures
from spatialhist.tl._runs.stack import Stack
from spatialhist.tl._scores.card import read_card

Source = CrossValidation | Stack | Model | str | Path


def load(folder: str | Path, *, models: Sequence[Predictor] = ()) -> CrossValidation | Stack | Model:
    """Load what a run or model folder holds.

    Parameters
    ----------
    folder
        The ``out`` of :func:`cross_validate` or :func:`fit`.
    models
        Predictors of your own that the run holds.

    Returns
    -------
    CrossValidation | Stack | Model
        The stack of a cross-validation (the most recent one), the cross-validation where nothing was stacked, or the
        model.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds none, is broken, or was written by a newer version.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sh.tl.load("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: nowhere is no run or model folder: it has no manifest.json
    """
    if parsed(Path(folder)).get("what") == MODEL:
        return Model.load(folder, models=models)
    cv = CrossValidation.load(folder, models=models)
    stacks = sorted((cv.folder / "stack").glob("*/stack.json"), key=lambda p: p.stat().st_mtime_ns)
    return Stack.load(cv, stacks[-1].parent.name) if stacks else cv


@dataclass
class Applier:
    """Predicts samples with whatever was trained.

    Attributes
    ----------
    source
        A cross-validation, its stack, or a model fitted on everything.
    allow_training
        Let a model fitted on everything predict slides it was fitted on.
    """

    source: CrossValidation | Stack | Model
    allow_training: bool = False
    _restored: dict[Path, Fitted] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Go to other processes as a folder that they read themselves."""
        return {"source": self.source, "_restored": {}}

    @classmethod
    def of(cls, source: Source, *, allow_training: bool = False) -> Applier:
        """Accept the objects themselves, or a folder.

        Raises
        ------
        TypeError
            If it is something else.
        """
        if isinstance(source, str | Path):
            source = load(source)
        if not isinstance(source, CrossValidation | Stack | Model):
            raise TypeError(f"{type(source).__name__} is no cross-validation, stack, model or run folder")
        return cls(source, allow_training)

    @property
    def run(self) -> CrossValidation | Model:
        """The run behind a stack."""
        return self.source.cv if isinstance(self.source, Stack) else self.source

    @property
    def name(self) -> str:
        """How provenance calls it."""
        if isinstance(self.source, Stack):
            return f"stack_{self.source.method}"
        return "+".join(m.name for m in self.run.models)

    @property
    def genes(self) -> list[str]:
        """Genes it predicts."""
        return self.run.genes

    @property
    def card(self) -> dict[str, Any]:
        """Scores and genes from held-out groups; empty for a model that was not evaluated."""
        return read_card(self.source.folder)

    @property
    def threads(self) -> int:
        """Threads that the run was pinned to."""
        return self.run.manifest.threads

    @property
    def needs_tiles(self) -> bool:
        """Whether any model looks at pixels."""
        return any(m.needs_tiles for m in self.run.models)

    def design(self, encoder: Any = None) -> Design:
        """What it looks at."""
        return self.run.restore_design(encoder)

    def trained_on(self, pixels: str) -> str | None:
        """Name of the training slide with these pixels."""
        return self.run.manifest.trained_on(pixels)

    def check_slide(self, training_slide: str | None) -> None:
        """Refuse a slide that a model was fitted on and that no fold left out.

        Raises
        ------
        ValueError
            If the slide does not suit the model; the message names a fix.
        """
        if training_slide is not None and isinstance(self.source, AsWritten):
            raise ValueError(
                f"slide {training_slide!r} was trained on, and a stack as written has no fold that left it out: use "
                "stack(..., scheme='honest'), or pass slides= without it"
            )
        if training_slide is not None and isinstance(self.run, Model) and not self.allow_training:
            raise ValueError(
                f"slide {training_slide!r} was trained on: the model would repeat its labels. Predict it with the "
                "cross-validation, whose folds left it out, pass slides= without it, or, if that is what you want, "
                "allow_training=True"
            )

    def repeats_labels(self, training_slide: str | None) -> bool:
        """Whether the model was fitted on the labels of the slide it predicts."""
        return training_slide is not None and isinstance(self.run, Model)

    def predicts_as(self, slide: str, training_slide: str | None) -> str:
        """Say in words what a slide is to the model."""
        if training_slide is None:
            other = slide in self.run.manifest.slides
            return "new slide" + (", not the training slide of this name: its pixels differ" if other else "")
        if isinstance(self.run, Model):
            return f"training slide {training_slide}, by a model fitted on its labels"
        group = self.run.manifest.group_of[training_slide]
        return f"training slide {training_slide}, by the fold that left out group {group}"

    def predict(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Predict ``(n, genes)``; a slide that was trained on is predicted by the fold that left it out.

        Raises
        ------
        ValueError
            If a model was fitted on the slide and no fold left it out.
        """
        self.check_slide(training_slide)
        if isinstance(self.run, Model):
            return Mean().apply(np.stack([self._fitted(f).predict(samples) for f in self.run.fits()]))
        if training_slide is not None:
            return self._by_fold(self.run, samples, self.run.manifest.group_of[training_slide])
        return self._by_all_folds(self.run, samples)

    def out_of_distribution(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Score ``(n,)`` of how far the samples lie from training spots of other groups; see ``TrainingFeatures``."""
        held_out = None
        if training_slide is not None and isinstance(self.run, CrossValidation):
            held_out = self.run.groups.index(self.run.manifest.group_of[training_slide])
        return self._training_features.score(samples.features, held_out=held_out)

    @property
    def n_features(self) -> int:
        """Features of all extents."""
        return len(self._training_features.reducer.mean)

    @cached_property
    def _training_features(self) -> TrainingFeatures:
        return TrainingFeatures.load(self.run.folder)

    def _by_fold(self, cv: CrossValidation, samples: Samples, group: str) -> np.ndarray:
        outer = cv.outer()
        predictions = np.stack([self._fitted(outer[group, m.name]).predict(samples) for m in cv.models])
        combiner = self.source.by_group[group] if isinstance(self.source, Stack) else Mean()
        values = np.full((len(samples), len(self.genes)), np.nan, dtype=np.float32)
        values[:, cv.panels[group]] = combiner.apply(predictions)
        return values

    def _by_all_folds(self, cv: CrossValidation, samples: Samples) -> np.ndarray:
        """Mean of a model's folds, then the combiner; a gene is averaged over the folds that modeled it."""
        if isinstance(self.source, AsWritten):
            return self.source.final.apply(fold_predictions(cv, samples, self._fitted))
        outer = cv.outer()
        predictions = []
        for m in cv.models:
            total = np.zeros((len(samples), len(self.genes)))
            count = np.zeros(len(self.genes))
            for group in cv.groups:
                columns = list(cv.panels[group])
                total[:, columns] += self._fitted(outer[group, m.name]).predict(samples)
                count[columns] += 1
            predictions.append((total / count).astype(np.float32))
        combiner: Combiner = self.source.final if isinstance(self.source, Stack) else Mean()
        return combiner.apply(np.stack(predictions))

    def _fitted(self, fit: Fit) -> Fitted:
        if fit.folder not in self._restored:
            self._restored[fit.folder] = fit.fitted()
        return self._restored[fit.folder]
