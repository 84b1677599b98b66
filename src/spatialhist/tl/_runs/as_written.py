"""The stacking of the original challenge entry, as written: what it says of its own score is not honest."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialhist._runtime.files import whole_folder, write_json
from spatialhist._runtime.threads import pinned_threads
from spatialhist.metrics import spot_spearman
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.combiners import fit_network, restore
from spatialhist.tl._predictors.protocol import Fitted
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.fits import Fit, read_state, write_state
from spatialhist.tl._runs.stack import FINAL, Stack, scratch_folder

logger = logging.getLogger(__name__)

NAME = "as_written"
CARD = "score.json"
HELD_SHARE = 0.2
"""Share of the spots, drawn at random from all slides, on which the scheme scores itself."""


@dataclass(frozen=True)
class AsWritten(Stack):
    """What ``stack(..., scheme="as_written")`` returns: a network over the predictions of all fold models.

    It predicts new slides. It has no out-of-fold predictions, so it stands in no table of scores.

    Attributes
    ----------
    score_not_honest
        Mean per-spot Spearman on a random fifth of the training spots, by which the original was evaluated. All but
        one of the fold models were trained on those spots, and their neighbors trained the network: do not compare it.
    """

    score_not_honest: float = float("nan")

    @property
    def folder(self) -> Path:
        """Where the weights lie; apart from the stacks that a run folder is loaded with."""
        return self.cv.folder / NAME

    @classmethod
    def of_folder(cls, cv: CrossValidation) -> AsWritten:
        """Load the weights of a run folder."""
        final = restore("mlp", read_state(cv.folder / NAME / FINAL), len(fold_fits(cv)))
        return cls(cv, NAME, {}, final, json.loads((cv.folder / NAME / CARD).read_text())["score_not_honest"])


def stack_as_written(cv: CrossValidation, *, seed: int = 0) -> AsWritten:
    """Fit :class:`spatialhist.nn.StackingMLP` on what every fold model says of every spot, its own training spots too.

    Raises
    ------
    ValueError
        If the folds model different genes.
    """
    if len(set(cv.panels.values())) > 1:
        raise ValueError("the folds model different genes, which this scheme cannot join: name the genes, genes=[...]")
    everything = np.arange(len(cv.inputs))
    samples = cv.inputs.samples(everything, cv.panels[cv.groups[0]], tiles=any(m.needs_tiles for m in cv.models))
    scratch = scratch_folder(cv, NAME, seed)
    held = np.random.default_rng(seed).permutation(len(samples)) < HELD_SHARE * len(samples)
    with pinned_threads(cv.manifest.threads):
        predictions = fold_predictions(cv, samples)
        one_slide = np.zeros(int((~held).sum()))
        final = fit_network(predictions[:, ~held], samples.targets[~held], one_slide, seed=seed, scratch=scratch)
        score = float(np.nanmean(spot_spearman(samples.targets[held], final.apply(predictions[:, held]))))
    result = AsWritten(cv, NAME, {}, final, score)
    _store(result)
    shutil.rmtree(scratch)
    warnings.warn(
        f"scheme='as_written': its score of {score:.3f} is not honest (fold models predict spots they were trained on) and "
        "belongs in no table; scheme='honest' gives one that does",
        UserWarning,
        stacklevel=3,
    )
    return result


def fold_fits(cv: CrossValidation) -> list[Fit]:
    """Fold models, in the order in which the network sees them."""
    outer = cv.outer()
    return [outer[group, m.name] for group in cv.groups for m in cv.models]


def fold_predictions(
    cv: CrossValidation, samples: Samples, restored: Callable[[Fit], Fitted] = Fit.fitted
) -> np.ndarray:
    """What every fold model says ``(folds * models, n, genes)``, whether it was trained on the spots or not."""
    return np.stack([restored(fit).predict(samples) for fit in fold_fits(cv)])


def _store(result: AsWritten) -> None:
    with whole_folder(result.folder) as new:
        (new / FINAL).mkdir()
        write_state(new / FINAL, result.final.state())
        write_json(new / CARD, {"score_not_honest": result.score_not_honest})
    logger.info("stack: %d fold models joined as written in %s", len(fold_fits(result.cv)), result.folder)
