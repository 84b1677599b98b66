"""The stacking of the original challenge entry, as written: what it says of its own score is not honest."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialhist._runtime.files import intact, whole_folder, write_json
from spatialhist._runtime.threads import pinned_threads
from spatialhist.metrics import spot_spearman
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.combiners import StackingNetwork
from spatialhist.tl._predictors.protocol import FittedCombiner
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.fits import read_state, write_state
from spatialhist.tl._runs.residuals import HeldOut, NoResiduals
from spatialhist.tl._runs.stack import FINAL, OnRun, scratch_folder

logger = logging.getLogger(__name__)

NAME = "as_written"
CARD = "score.json"
HELD_SHARE = 0.2
"""Share of the spots, drawn at random from all slides, on which the scheme scores itself."""


@dataclass(frozen=True)
class AsWritten(OnRun):
    """What ``stack(..., scheme="as_written")`` returns: a network over the predictions of all fold models.

    It predicts new slides. It has no out-of-fold predictions, so it stands in no table of scores.

    Attributes
    ----------
    cv
        The cross-validation whose fold models are joined.
    final
        The network.
    score_not_honest
        Mean per-spot Spearman on a random fifth of the training spots, by which the original was evaluated. All but
        one of the fold models were trained on those spots, and their neighbors trained the network: do not compare it.
    """

    final: FittedCombiner
    score_not_honest: float

    @property
    def method(self) -> str:
        """Name of the scheme."""
        return NAME

    @property
    def folder(self) -> Path:
        """Where the weights lie; apart from the stacks that a run folder is loaded with."""
        return self.cv.folder / NAME

    @classmethod
    def of_folder(cls, cv: CrossValidation) -> AsWritten:
        """Load the weights of a run folder."""
        with intact(cv.folder / NAME):
            final = StackingNetwork().restore(read_state(cv.folder / NAME / FINAL))
            return cls(cv, final, float(json.loads((cv.folder / NAME / CARD).read_text())["score_not_honest"]))

    def as_training(self, slide: str) -> str:
        """Refuse a slide that was trained on.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            f"slide {slide!r} was trained on, and a stack as written has no fold that left it out: make one "
            "that does, sh.tl.stack(sdata, cv, scheme='honest'), or leave the slide out, sh.tl.predict(sdata, model, slides=[...])"
        )

    def predict(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Predict ``(n, genes)`` of a new slide from what every fold model says.

        Raises
        ------
        ValueError
            If the slide was trained on.
        """
        self.check_slide(training_slide)
        return self.final.apply(self.cv.predict_each(samples, self.cv.groups))

    def held_out(self) -> HeldOut:
        """No group was held out of the network.

        Raises
        ------
        NoResiduals
            Always.
        """
        raise NoResiduals("scheme='as_written' leaves no honest residuals: use sh.tl.stack(sdata, cv, scheme='honest')")


def stack_as_written(cv: CrossValidation, *, seed: int = 0) -> AsWritten:
    """Fit :class:`spatialhist.nn.StackingMLP` on what every fold model says of every spot, its own training spots too.

    Raises
    ------
    ValueError
        If the folds model different genes.
    """
    if len(set(cv.panels.values())) > 1:
        raise ValueError(
            "the folds model different genes, which this scheme cannot join: name them, sh.tl.cross_validate(sdata, genes=[...])"
        )
    everything = np.arange(len(cv.inputs))
    samples = cv.inputs.samples(everything, cv.panels[cv.groups[0]], tiles=cv.needs_tiles)
    scratch = scratch_folder(cv, NAME, seed)
    held = np.random.default_rng(seed).permutation(len(samples)) < HELD_SHARE * len(samples)
    with pinned_threads(cv.manifest.threads):
        predictions = cv.opened().predict_each(samples, cv.groups)
        # the scheme knows no slides: targets are centered over all spots at once
        one_slide = np.zeros(int((~held).sum()))
        final = StackingNetwork().fit(
            predictions[:, ~held], samples.training_targets[~held], slide=one_slide, seed=seed, scratch=scratch
        )
        score = float(np.nanmean(spot_spearman(samples.training_targets[held], final.apply(predictions[:, held]))))
    result = AsWritten(cv, final, score)
    _store(result)
    shutil.rmtree(scratch)
    warnings.warn(
        f"scheme='as_written': its score of {score:.3f} is not honest (fold models predict spots they were trained on) and "
        "belongs in no table; scheme='honest' gives one that does",
        stacklevel=3,
    )
    return result


def _store(result: AsWritten) -> None:
    with whole_folder(result.folder) as new:
        (new / FINAL).mkdir()
        write_state(new / FINAL, result.final.state())
        write_json(new / CARD, {"score_not_honest": result.score_not_honest})
    logger.info(
        "stack: %d fold models joined as written in %s", len(result.cv.groups) * len(result.cv.models), result.folder
    )
