"""What is wrong with a predictor, in words."""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.executor import sent
from spatialhist._runtime.threads import pinned_threads
from spatialhist.nn._fingerprint import fingerprint
from spatialhist.tl._data.samples import Inputs, Samples
from spatialhist.tl._data.simulated import (
    N_GENES,
    as_new_slide,
    held_out_samples,
    simulate_inputs,
    training_samples,
)
from spatialhist.tl._predictors.baselines import PRESETS as BASELINES
from spatialhist.tl._predictors.protocol import Fitted, Predictor, State
from spatialhist.tl._predictors.protocol import check_predictor as refuse_others
from spatialhist.tl._predictors.registry import describe
from spatialhist.tl._predictors.returned import fitted_model, model_state
from spatialhist.tl._runs.fits import read_state, write_state


def check_predictor(predictor: Predictor, *, tile_pixels: int = 78) -> list[str]:
    """Say in words what is wrong with a predictor of your own, before a run does.

    It is fitted twice on the simulated spots of three slides, and predicts a fourth, as a fold and as a new slide. Both
    fits take as long as they need: give networks few epochs here.

    Parameters
    ----------
    predictor
        What you would pass in ``models=``.
    tile_pixels
        Side of the tiles of predictors that look at pixels.

    Returns
    -------
    list
        One line per problem; empty if there is none.

    Notes
    -----
    Checked are the members of :class:`Predictor` and :class:`Fitted`; that a fit depends on its samples and its seed
    alone and leaves samples and predictor as they are; that the prediction of a spot is a row of finite float32, which
    depends neither on labels nor on other spots; that what was fitted is the same after it was stored; and that the
    predictor can be hashed, described in a manifest, and sent to other processes. Baselines may predict NaN.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sh.tl.check_predictor(sh.tl.Ridge(components=4))
    []
    >>> sh.tl.check_predictor(sh.tl.Ridge(name="my/ridge"))
    ["name 'my/ridge' becomes 'my_ridge' in layers and files: use letters, digits, '_', '.' and '-'"]
    """
    problems = _members(predictor)
    if not problems:
        problems = [*_name(predictor), *_identity(predictor)]
        # threads are pinned as in a run
        with tempfile.TemporaryDirectory(prefix="spatialhist-") as folder, pinned_threads(1):
            inputs = simulate_inputs(
                Path(folder) / "inputs", tile_pixels=tile_pixels if predictor.needs_tiles else None
            )
            try:
                # extend keeps what was found before a failure
                problems.extend(_behavior(predictor, inputs, Path(folder)))
            except _Failure as failure:
                problems.append(str(failure))
    return [" ".join(problem.split()) for problem in problems]


class _Failure(Exception):
    """What keeps the rest from being checked."""


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Say what fails, for any error that code of the user raises."""
    try:
        yield
    except Exception as error:
        raise _Failure(f"{what}: {type(error).__name__}: {error}") from error


def _members(predictor: Any) -> list[str]:
    """What is missing or of the wrong type, so that nothing can be run."""
    try:
        refuse_others(predictor)
    except TypeError as error:
        return [str(error)]
    if not isinstance(predictor.needs_tiles, bool):
        return [f"needs_tiles={predictor.needs_tiles!r} must be True if it looks at samples.tiles, else False"]
    return []


def _name(predictor: Predictor) -> Iterator[str]:
    name, stored = predictor.name, _keys.sanitize(predictor.name)
    if name != stored:
        yield f"name {name!r} becomes {stored!r} in layers and files: use letters, digits, '_', '.' and '-'"
    if any(name == p.name and type(p) is not type(predictor) for p in BASELINES):
        yield f"name {name!r} is that of a baseline that every run holds: choose another"


def _identity(predictor: Predictor) -> list[str]:
    """What tells runs apart, and what other processes get."""
    _, unhashed = _tried("it cannot be hashed", lambda: _hash(predictor))
    _, undescribed = _tried("its fields cannot be written to a manifest", lambda: json.dumps(describe(predictor)))
    _, unsent = _tried(
        "it cannot be sent to other processes, the executor= of sh.tl.cross_validate: open files and connections in fit",
        lambda: sent(predictor),
    )
    return [problem for problem in (unhashed or undescribed, unsent) if problem]


def _tried(what: str, do: Callable[[], Any]) -> tuple[Any, str]:
    """Return what came of it, and what failed."""
    try:
        with _named(what):
            return do(), ""
    except _Failure as failure:
        return None, str(failure)


def _hash(predictor: Predictor) -> str:
    return fingerprint(predictor, f"model {predictor.name!r}")


def _behavior(predictor: Predictor, inputs: Inputs, folder: Path) -> Iterator[str]:
    """Fit, predict, store and restore, as a run does.

    Raises
    ------
    _Failure
        If a step fails.
    """
    samples = training_samples(inputs)
    # kept aside: `fit` may change the predictor that it is called on
    fresh = _tried("copy", lambda: copy.deepcopy(predictor))[0] or predictor
    before, content = _tried("hash", lambda: _hash(predictor)), _content(samples)
    fitted = _fit(predictor, samples, folder / "first")
    if _content(samples) != content:
        yield "fit changes the samples that it is given: work on copies"
    if _tried("hash", lambda: _hash(predictor)) != before:
        yield (
            "fit changes the predictor: keep what was fitted in the object that fit returns, so that every fold gets a "
            "fresh model"
        )
    held_out = held_out_samples(inputs)
    predicted = _predict(fitted, held_out, held_out_samples(inputs, targets=True))
    if problem := _form(predicted, (len(held_out), N_GENES)):
        yield problem
        return
    yield from _values(predictor, predicted)
    yield from _dependence(predictor, fitted, inputs, predicted)
    # before the copy is fitted, so that it has nothing but the state to restore from
    yield from _storage(fresh, fitted, held_out, predicted, folder)
    again = _fit(fresh, training_samples(inputs), folder / "second")
    with _named("predict fails after a second fit"):
        values = again.predict(held_out)
    if not _same(values, predicted):
        yield "two fits with the same samples and seed predict other values: draw random numbers from the seed alone"


def _content(samples: Samples) -> str:
    """Hash of all arrays."""
    digest = hashlib.sha256()
    single = [
        samples.slide,
        samples.group,
        samples.patient,
        samples.position,
        samples.targets,
        samples.tiles,
        samples.depth,
    ]
    for array in (*single, *samples.features, *samples.standardized):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _fit(predictor: Predictor, samples: Samples, scratch: Path) -> Fitted:
    scratch.mkdir()
    try:
        with _named("fit fails"):
            return fitted_model(predictor.fit(samples, seed=0, scratch=scratch), predictor.name)
    except _Failure as failure:
        raise _Failure(f"{failure}{_hint(predictor, str(failure))}") from failure.__cause__


def _hint(predictor: Predictor, message: str) -> str:
    """What an error of Python does not say."""
    if "StoredTiles" in message or "StoredBlocks" in message:
        return "; tiles and features lie on disk, and are read by indexing: samples.tiles[:], samples.features[0]"
    untold = "NoneType" in message and not predictor.needs_tiles
    return "; samples.tiles is None where needs_tiles is False" if untold else ""


def _predict(fitted: Fitted, samples: Samples, with_targets: Samples) -> Any:
    """Predict; where that fails for want of labels, say so."""
    try:
        with _named("predict fails"):
            return fitted.predict(samples)
    except _Failure as failure:
        try:
            with _named("predict fails with labels too"):
                fitted.predict(with_targets)
        except _Failure:
            raise failure from None
        # with labels it works: what is missing is what no spot to be predicted has
        raise _Failure("predict reads samples.targets, which is None for spots to be predicted") from failure


def _form(predicted: Any, shape: tuple[int, int]) -> str:
    """What keeps predictions from being compared."""
    if not isinstance(predicted, np.ndarray):
        return f"predict returns a {type(predicted).__name__}: return an array of numpy"
    if predicted.shape != shape:
        return f"predict returns shape {predicted.shape}: return (spots, genes), here {shape}"
    if predicted.dtype.kind != "f":
        return f"predict returns {predicted.dtype}: return float32"
    return ""


def _values(predictor: Predictor, predicted: np.ndarray) -> Iterator[str]:
    if predicted.dtype != np.float32:
        yield f"predict returns {predicted.dtype}: return float32, with .astype(np.float32)"
    if np.isinf(predicted).any() or (predictor.kind == "model" and np.isnan(predicted).any()):
        yield "predict returns NaN or infinite values: mind features and genes that are constant in training"


def _dependence(predictor: Predictor, fitted: Fitted, inputs: Inputs, predicted: np.ndarray) -> Iterator[str]:
    """On anything but a spot itself."""
    held_out = held_out_samples(inputs)
    rows = np.arange(len(held_out))
    with _named("predict fails on some of the spots, or on all in another order"):
        if not _same(fitted.predict(held_out), predicted):
            yield "two calls of predict return other values: draw no random numbers, and call eval() on networks"
            return
        if not _same(fitted.predict(held_out_samples(inputs, targets=True)), predicted):
            yield "predict reads samples.targets: the labels of a slide must not reach its prediction"
        if not _same(fitted.predict(held_out.take(rows[::-1]))[::-1], predicted):
            yield "the prediction of a spot depends on the order of the spots"
        # one spot alone, which is what is left over where predictions are made part by part
        parts = (held_out.take(part) for part in np.split(rows, [1, 4]))
        if not _same(np.concatenate([fitted.predict(part) for part in parts]), predicted):
            yield "the prediction of a spot depends on the other spots that are predicted with it"
    if predictor.kind == "model":
        yield from _new_slide(fitted, as_new_slide(held_out), predicted)


def _new_slide(fitted: Fitted, samples: Samples, predicted: np.ndarray) -> Iterator[str]:
    content = _content(samples)
    with _named("predict fails on a new slide, of which samples.group is '' and samples.color is None"):
        values = fitted.predict(samples)
    if not _same(values, predicted):
        yield "spots of a new slide are predicted otherwise than those of a fold: read neither samples.group nor .color"
    if _content(samples) != content:
        yield "predict changes the samples that it is given: work on copies"


def _storage(
    predictor: Predictor, fitted: Fitted, samples: Samples, predicted: np.ndarray, folder: Path
) -> Iterator[str]:
    """Compare with what is restored from files, by a predictor that was not fitted."""
    with _named("state() fails"):
        state = model_state(fitted.state(), predictor.name)
    with _named("state() cannot be stored as safetensors and JSON"):
        write_state(folder, state)
    stored = read_state(folder)
    with _named(f"restore(state) fails{_changes(state, stored)}"):
        restored = fitted_model(predictor.restore(stored), predictor.name)
    with _named(f"predict fails after restore(state){_changes(state, stored)}"):
        values = restored.predict(samples)
    if not _same(values, predicted):
        yield f"what restore(state) returns predicts other values than what was fitted{_changes(state, stored)}"


def _changes(state: State, stored: State) -> str:
    """What comes back from files in another form."""
    arrays = [
        f"array {name!r} {array.shape} as {stored[0][name].shape}"
        for name, array in state[0].items()
        if stored[0][name].shape != array.shape
    ]
    values = [
        f"{key!r}: {value!r} as {stored[1].get(key, stored[1].get(str(key)))!r}"
        for key, value in state[1].items()
        if repr(stored[1].get(key)) != repr(value)
    ]
    found = ", ".join(arrays + values)
    return f"; from files come back {found}" if found else ""


def _same(found: Any, expected: np.ndarray) -> bool:
    """Equal up to rounding, which may differ with the number of spots."""
    if np.shape(found) != expected.shape:
        return False
    scale = np.nanmax(np.abs(np.where(np.isfinite(expected), expected, 0)), axis=0, initial=0)
    # of infinite values, and of those that one side lacks, only the places are compared
    gap = np.abs(np.nan_to_num(np.asarray(found, dtype=np.float64)) - np.nan_to_num(expected.astype(np.float64)))
    # gene by gene, since their sizes differ; the constant is for genes that are predicted as 0 everywhere
    return bool((np.isfinite(found) == np.isfinite(expected)).all() and (gap <= 1e-3 * scale + 1e-6).all())
