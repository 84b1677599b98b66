"""A stack: weights in the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.files import intact, whole_folder, write_json
from spatialhist.tl._predictors.combiners import Combiner, restore
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.fits import read_state, write_state
from spatialhist.tl._runs.folder import group_folder
from spatialhist.tl._scores.card import write_card

FINAL = "final"


@dataclass(frozen=True)
class Stack:
    """What :func:`stack` returns: how each fold combines its models, and how a new slide does.

    Attributes
    ----------
    cv
        The cross-validation whose models are combined.
    method
        How.
    by_group
        The combiner with which each held-out group is evaluated; it has not seen that group.
    final
        The combiner for new slides, fitted on the out-of-fold predictions of all groups, over all genes of the run.
    """

    cv: CrossValidation
    method: str
    by_group: dict[str, Combiner]
    final: Combiner

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        return self.cv.folder / "stack" / self.method

    @classmethod
    def load(cls, cv: CrossValidation, method: str) -> Stack:
        """Load the weights of a run folder."""
        folder = cv.folder / "stack" / method
        n = len(cv.models)
        with intact(folder):
            each = {g: restore(method, read_state(folder / group_folder(cv.groups, (g,))), n) for g in cv.groups}
            return cls(cv, method, each, restore(method, read_state(folder / FINAL), n))


def scratch_folder(cv: CrossValidation, method: str, seed: int) -> Path:
    """Where trainings leave their checkpoints, so that a stack that was killed goes on."""
    return cv.folder / "stack" / f".{method}-{seed}.scratch"


def stacked_out_of_fold(result: Stack) -> np.ndarray:
    """Stacked predictions of every held-out group ``(spots, genes)``, NaN outside its panel."""
    cv = result.cv
    outer = cv.outer()
    values = np.full((len(cv.inputs), len(cv.genes)), np.nan, dtype=np.float32)
    for group in cv.groups:
        rows, _ = outer[group, cv.models[0].name].result()
        predictions = np.stack([outer[group, m.name].result()[1] for m in cv.models])
        values[np.ix_(rows, np.asarray(cv.panels[group]))] = result.by_group[group].apply(predictions)
    return values


def _store(result: Stack, card: dict[str, Any]) -> None:
    """Write weights and card into the run folder, whole."""
    folders = {group_folder(result.cv.groups, (group,)): combiner for group, combiner in result.by_group.items()}
    with whole_folder(result.folder) as new:
        for name, combiner in {**folders, FINAL: result.final}.items():
            (new / name).mkdir()
            write_state(new / name, combiner.state())
        write_json(new / "stack.json", {"method": result.method, "models": [m.name for m in result.cv.models]})
        write_card(new, card)
