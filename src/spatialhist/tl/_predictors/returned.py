"""What a predictor returns, checked; one of the user's own is named where it is something else than what is wanted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from spatialhist.tl._predictors.protocol import Fitted, State

NUMBERS = "fiub"
"""Kinds of arrays that hold real numbers."""


def fitted_model(fitted: Any, name: str) -> Fitted:
    """Return what ``fit`` or ``restore`` of a predictor gave.

    Raises
    ------
    TypeError
        If it cannot predict or be stored.
    """
    lacking = [member for member in ("predict", "state") if not callable(getattr(fitted, member, None))]
    if lacking:
        raise TypeError(
            f"model {name!r}: its fit or restore returned a {type(fitted).__name__}, which lacks the methods {lacking}: "
            "return an object with predict(samples) and state(), see sh.tl.Predictor"
        )
    return fitted


def predictions(values: Any, name: str, shape: tuple[int, int]) -> np.ndarray:
    """Return what ``predict`` gave as an array ``(n, genes)``; lists and tensors become one.

    Raises
    ------
    ValueError
        If it is something else.
    """
    wanted = f"expected numbers {shape}, a row a spot and a column a gene"
    try:
        array = np.asarray(values)
        # lists of tensors or of other objects
        array = array.astype(np.float32) if array.dtype.kind == "O" else array
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"model {name!r} predicted a {type(values).__name__} ({error}), {wanted}") from error
    if array.dtype.kind not in NUMBERS:
        raise ValueError(f"model {name!r} predicted an array of type {array.dtype}, {wanted}")
    if array.shape != shape:
        raise ValueError(f"model {name!r} predicted an array {array.shape}, {wanted}")
    return array


def model_state(state: Any, name: str) -> State:
    """Return what ``state`` gave, with arrays of numpy.

    Raises
    ------
    TypeError
        If it is no pair of arrays by name and of what JSON can hold.
    """
    if not (isinstance(state, tuple | list) and len(state) == 2 and all(isinstance(part, dict) for part in state)):
        raise TypeError(
            f"model {name!r}: state returned a {type(state).__name__}, expected two dictionaries: arrays by name, and what "
            "JSON can hold ({} for nothing)"
        )
    arrays = {key: np.asarray(value) for key, value in state[0].items()}
    if wrong := [key for key, array in arrays.items() if array.dtype.kind not in NUMBERS]:
        raise TypeError(
            f"model {name!r}: the arrays {wrong} of state hold no numbers: put them into its second dictionary"
        )
    try:
        json.dumps(state[1], sort_keys=True)
    except (TypeError, ValueError) as error:
        raise TypeError(f"model {name!r}: JSON cannot hold the second dictionary of state: {error}") from error
    return arrays, state[1]
