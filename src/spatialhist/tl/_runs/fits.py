"""One fit: a predictor, the groups it must not see, its genes. Done once, in any process, with the same result."""

from __future__ import annotations

import json
import logging
import math
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.executor import n_workers, run_tasks
from spatialhist._runtime.files import intact, whole_folder
from spatialhist._runtime.threads import pinned_threads
from spatialhist.tl._data.samples import Inputs, Samples
from spatialhist.tl._predictors.protocol import Fitted, Predictor, State
from spatialhist.tl._predictors.returned import fitted_model, model_state, predictions
from spatialhist.tl._predictors.stored import check_arrays

logger = logging.getLogger(__name__)

RESULT = "result.safetensors"
MODEL = "model.safetensors"
CARD = "model.json"


@dataclass(frozen=True)
class Fit:
    """A predictor to be fitted on the spots outside ``held_out`` and applied to those inside.

    Attributes
    ----------
    predictor
        The recipe.
    held_out
        Groups whose spots are not trained on; empty for a fit on everything.
    genes
        Positions in the run's values.
    folder
        Where the result goes; if it exists the fit is done.
    seed
        For whatever is random.
    threads
        Of numpy and torch, pinned so that the result does not depend on who runs the fit.
    start
        Folder of a finished fit of the same kind whose weights a network starts from; None for new weights.
    """

    predictor: Predictor
    held_out: tuple[str, ...]
    genes: tuple[int, ...]
    folder: Path
    seed: int
    threads: int
    start: Path | None = None

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self.folder.exists()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that were held out, and their predictions ``(rows, genes)``."""
        from safetensors.numpy import load_file

        with intact(self.folder):
            stored = load_file(self.folder / RESULT)
            check_arrays(stored, {"rows": "R", "predicted": "RG"}, gaps=True)
        return stored["rows"], stored["predicted"]

    def fitted(self) -> Fitted:
        """Restore the fitted predictor."""
        with intact(self.folder):
            fitted = self.predictor.restore(read_state(self.folder))
        return fitted_model(fitted, self.predictor.name)

    def predict(self, fitted: Fitted, samples: Samples) -> np.ndarray:
        """Predict ``(n, genes)`` and check it.

        Raises
        ------
        ValueError
            If the model gives something else.
        """
        return predictions(fitted.predict(samples), self.predictor.name, (len(samples), len(self.genes)))


def run_fit(fit: Fit, inputs_folder: Path) -> float:
    """Fit, predict the held-out spots, write; returns seconds. Runs in worker processes."""
    if fit.done:
        return 0.0
    start = time.perf_counter()
    inputs = Inputs.open(inputs_folder)
    group = inputs.column("group")
    held = np.isin(group, fit.held_out)
    # beside the folder, which stands for a finished fit as soon as it exists
    scratch = fit.folder.with_name(f"{fit.folder.name}.scratch")
    scratch.mkdir(parents=True, exist_ok=True)
    tiles = fit.predictor.needs_tiles
    start_from = {} if fit.start is None else {"start": read_state(fit.start)}
    with pinned_threads(fit.threads):
        samples = inputs.samples(np.flatnonzero(~held), fit.genes, tiles=tiles)
        fitted = fitted_model(
            fit.predictor.fit(samples, seed=fit.seed, scratch=scratch, **start_from), fit.predictor.name
        )
        rows = np.flatnonzero(held)
        # a model fitted on everything holds out nothing
        empty = np.zeros((0, len(fit.genes)), np.float32)
        predicted = fit.predict(fitted, inputs.samples(rows, tiles=tiles)) if len(rows) else empty
    _publish(fit, scratch, fitted, rows, predicted)
    return time.perf_counter() - start


def _publish(fit: Fit, scratch: Path, fitted: Fitted, rows: np.ndarray, predicted: np.ndarray) -> None:
    """Write everything whole: a folder under the final name is complete."""
    from safetensors.numpy import save_file

    with whole_folder(fit.folder) as new:
        save_file({"rows": rows, "predicted": np.ascontiguousarray(predicted, dtype=np.float32)}, new / RESULT)
        write_state(new, model_state(fitted.state(), fit.predictor.name))
        for log in sorted(scratch.rglob("metrics.csv")):
            target = new / log.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(log, target)
    # last: a kill before this leaves the checkpoints that the fit resumes from
    shutil.rmtree(scratch)


def write_state(folder: Path, state: State) -> None:
    """Write the arrays and choices of a fitted predictor."""
    from safetensors.numpy import save_file

    arrays, extra = state
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / MODEL)
    (folder / CARD).write_text(json.dumps(extra, indent=1, sort_keys=True))


def read_state(folder: Path) -> State:
    """Inverse of :func:`write_state`."""
    from safetensors.numpy import load_file

    arrays, extra = load_file(folder / MODEL), json.loads((folder / CARD).read_text())
    if not isinstance(extra, dict):
        raise TypeError(f"{CARD} holds a {type(extra).__name__}")
    return arrays, extra


def run_fits(fits: Sequence[Fit], inputs_folder: Path, *, executor: Any = None, progress: bool = True) -> None:
    """Run what is not done yet.

    Parameters
    ----------
    fits
        In the order in which they are started.
    inputs_folder
        Folder that every worker can read.
    executor
        See :func:`spatialhist._runtime.executor.run_tasks`.
    progress
        Show a progress bar.
    """
    from tqdm.auto import tqdm

    todo = [f for f in fits if not f.done]
    for fit in todo:
        fit.folder.parent.mkdir(parents=True, exist_ok=True)
    done = run_tasks(run_fit, [(f, inputs_folder) for f in todo], executor)
    # how many run at once in an executor from outside shows when they do
    left = TimeLeft([f.predictor.name for f in todo], n_workers(executor) if isinstance(executor, int | None) else None)
    for i, seconds in enumerate(tqdm(done, total=len(todo), desc="fits", disable=not progress)):
        if note := left.add(i, seconds):
            tell(note, progress=progress)


def tell(note: str, *, progress: bool) -> None:
    """Show a note between the progress bars, or log it where there are none."""
    from tqdm.auto import tqdm

    if progress:
        tqdm.write(note, file=sys.stderr)
    else:
        logger.info(note)


SHORT = 60.0
"""Shorter times are not announced."""


class TimeLeft:
    """Measures fits by model, and speaks once: when one fit of each model is done.

    Parameters
    ----------
    names
        Model of every fit, in the order in which they end.
    workers
        Fits that run at once; None to measure it.
    """

    def __init__(self, names: Sequence[str], workers: int | None) -> None:
        self._names, self._workers = list(names), workers
        self._start, self._spent = time.perf_counter(), 0.0
        self._seconds: dict[str, float] = {}
        self._said = False

    def add(self, position: int, seconds: float) -> str | None:
        """Note that a fit took so many seconds; returns what there is to say, or None."""
        name, self._spent = self._names[position], self._spent + seconds
        # the first fit of a process loads libraries too
        self._seconds[name] = min(seconds, self._seconds.get(name, seconds))
        left = self._names[position + 1 :]
        if self._said or set(left) - set(self._seconds):
            return None
        self._said = True
        workers = self._workers or max(1.0, self._spent / (time.perf_counter() - self._start))
        rest = sum(self._seconds[name] for name in left) / workers
        if rest < SHORT:
            return None
        slowest = max(self._seconds, key=lambda name: self._seconds[name])
        return (
            f"by the first fit of each model about {math.ceil(rest / 60)} min are left; "
            f"{slowest} is the slowest, {self._seconds[slowest]:.0f} s a fit"
        )
