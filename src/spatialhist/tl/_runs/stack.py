"""A stack: weights in the run folder."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from spatialhist._runtime.files import BROKEN, intact, whole_folder, write_json
from spatialhist.tl._data.samples import Samples
from spatialhist.tl._predictors.combiners import describe_combiner, restore_combiner
from spatialhist.tl._predictors.protocol import Combiner, FittedCombiner, Predictor
from spatialhist.tl._runs.cross_validation import CrossValidation
from spatialhist.tl._runs.fits import read_state, write_state
from spatialhist.tl._runs.folder import group_folder
from spatialhist.tl._runs.manifest import Manifest
from spatialhist.tl._runs.residuals import HeldOut, NoResiduals
from spatialhist.tl._runs.restored import Restored
from spatialhist.tl._runs.trained import Trained
from spatialhist.tl._scores.card_file import write_card

FINAL = "final"
CARD = "stack.json"
NUMBER = "number"
"""Entry that counts the stacks of a run in the order in which they were made."""


@dataclass(frozen=True)
class OnRun(Trained):
    """What was trained on the predictions of a cross-validation.

    Attributes
    ----------
    cv
        The cross-validation whose models are combined.
    """

    cv: CrossValidation

    @property
    @abstractmethod
    def method(self) -> str:
        """Name of the way in which they are."""

    @property
    def manifest(self) -> Manifest:
        """Of the run."""
        return self.cv.manifest

    @property
    def models(self) -> tuple[Predictor, ...]:
        """Of the run."""
        return self.cv.models

    @property
    def run_folder(self) -> Path:
        """Folder of the run."""
        return self.cv.folder

    @property
    def name(self) -> str:
        """How the record of a layer calls it."""
        return f"stack_{self.method}"

    @property
    def _restored(self) -> Restored:
        return self.cv._restored

    @property
    def _encoder(self) -> Any:
        return self.cv._encoder

    def opened(self, *, allow_training: bool = False) -> Self:
        """Return a handle for one call, which reads every fit once and forgets it with the call."""
        return replace(self, cv=self.cv.opened())


@dataclass(frozen=True)
class Stack(OnRun):
    """What :func:`stack` returns: how each fold combines its models, and how a new slide does.

    Attributes
    ----------
    cv
        The cross-validation whose models are combined.
    how
        The way in which they are.
    by_group
        The combiner with which each held-out group is evaluated; it has not seen that group.
    final
        The combiner for new slides, fitted on the out-of-fold predictions of all groups, over all genes of the run.
    """

    how: Combiner
    by_group: dict[str, FittedCombiner]
    final: FittedCombiner

    @property
    def method(self) -> str:
        """Name of the way in which models are combined."""
        return self.how.name

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        return self.cv.folder / "stack" / self.method

    @classmethod
    def load(cls, cv: CrossValidation, method: str, *, combiners: Sequence[Combiner] = ()) -> Stack:
        """Load the weights of a run folder; a combiner of your own must be handed in again.

        Raises
        ------
        ValueError
            If it is not, or the folder is broken.
        """
        folder = cv.folder / "stack" / method
        with intact(folder):
            data = json.loads((folder / CARD).read_text())
        how = restore_combiner(method, data, combiners)
        with intact(folder):
            each = {g: how.restore(read_state(folder / group_folder(cv.groups, (g,)))) for g in cv.groups}
            return cls(cv, how, each, how.restore(read_state(folder / FINAL)))

    @property
    def in_ranks(self) -> bool:
        """Whether predictions are ranks, those of the models or those that the method makes of them."""
        return self.how.in_ranks or self.cv.in_ranks

    def combiner(self, group: str | None) -> FittedCombiner:
        """How models are combined to predict a group that was held out, or a new slide."""
        return self.final if group is None else self.by_group[group]

    def as_training(self, slide: str) -> str:
        """Say which fold predicts a slide that was trained on."""
        return self.cv.as_training(slide)

    def predict(self, samples: Samples, *, training_slide: str | None = None) -> np.ndarray:
        """Predict ``(n, genes)``; a slide that was trained on is predicted by the fold that left it out."""
        return self.cv.predict_combined(samples, training_slide, self.combiner)

    def out_of_fold(self) -> np.ndarray:
        """Stacked predictions of every held-out group ``(spots, genes)``, NaN outside its panel."""
        return HeldOut(self.cv, self.combiner).predictions()

    def held_out(self) -> HeldOut:
        """Stacked predictions of groups that were held out, and how far they were off.

        Raises
        ------
        NoResiduals
            If they are ranks of what the models predict.
        """
        if self.how.in_ranks:
            raise NoResiduals(
                f"method={self.method!r} predicts ranks, which have no residuals: stack with another method="
            )
        return HeldOut(self.cv, self.combiner)


def scratch_folder(cv: CrossValidation, method: str, seed: int) -> Path:
    """Where trainings leave their checkpoints, so that a stack that was killed goes on."""
    # hidden, so that a stack that is not finished is not taken for one
    return cv.folder / "stack" / f".{method}-{seed}.scratch"


def scratch_of(cv: CrossValidation, how: Combiner, seed: int) -> Path:
    """Checkpoints of a combiner; one of the user's whose code has changed does not go on from the former's."""
    code = describe_combiner(how).get("combiner", {}).get("fingerprint", "")
    return scratch_folder(cv, f"{how.name}-{code[:12]}" if code else how.name, seed)


def latest_method(cv: CrossValidation) -> str | None:
    """Method of the stack that was made last, None where nothing was stacked.

    Raises
    ------
    ValueError
        If a stack is broken.
    """
    return max(_in_order(cv), default=(0, 0, None))[-1]


def _in_order(cv: CrossValidation) -> list[tuple[int, int, str]]:
    """Number, time and method of every stack of a run."""
    found = []
    for path in (cv.folder / "stack").glob(f"[!.]*/{CARD}"):
        with intact(path, errors=(*BROKEN, ValueError)):
            number = int(json.loads(path.read_text()).get(NUMBER, 0))
        # a copy of the folder has other times, so they count only where an earlier version left no numbers
        found.append((number, path.stat().st_mtime_ns, path.parent.name))
    return found


def store_stack(result: Stack, card: dict[str, Any]) -> None:
    """Write weights and card into the run folder, whole."""
    folders = {group_folder(result.cv.groups, (group,)): combiner for group, combiner in result.by_group.items()}
    number = 1 + max((made for made, *_ in _in_order(result.cv)), default=0)
    with whole_folder(result.folder) as new:
        for name, combiner in {**folders, FINAL: result.final}.items():
            (new / name).mkdir()
            write_state(new / name, combiner.state())
        made_of = {"method": result.method, "models": [m.name for m in result.cv.models], NUMBER: number}
        write_json(new / CARD, made_of | describe_combiner(result.how))
        write_card(new, card)
