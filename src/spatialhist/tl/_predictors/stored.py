"""Arrays of a folder, looked at before a model is made of them: all there, of shapes that belong together, and finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

MAX_SIZE = 10_000_000
"""Of one axis of what a network takes or gives."""


def check_arrays(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, str], *, gaps: bool = False) -> None:
    """Refuse arrays that no fit has written.

    Parameters
    ----------
    arrays
        By name; others than those of ``shapes`` are not looked at.
    shapes
        A letter an axis, as in ``{"axes": "FC", "mean": "F"}``: axes of one letter have one length.
    gaps
        Let missing values through.

    Raises
    ------
    KeyError, TypeError
        Naming the array.
    """
    sizes: dict[str, int] = {}
    for name, axes in shapes.items():
        array = arrays[name]
        fits = array.ndim == len(axes) and all(
            # the first array with an axis of this name sets its length, and the others have to agree
            sizes.setdefault(axis, n) == n
            for axis, n in zip(axes, array.shape, strict=True)
        )
        if array.dtype.kind not in "fiu" or not fits:
            raise TypeError(f"array {name!r} of {array.dtype} {array.shape} does not fit the others")
        if not gaps:
            check_finite(name, array)


def check_finite(name: str, array: np.ndarray) -> None:
    """Refuse weights with missing or infinite numbers.

    Raises
    ------
    TypeError
        Naming the array.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TypeError(f"array {name!r} holds missing or infinite numbers")


def whole(name: str, value: Any, low: int = 1) -> int:
    """Return a whole number that sizes are made of.

    Raises
    ------
    TypeError
        If it is none, or out of all bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MAX_SIZE:
        raise TypeError(f"{name}={value!r:.80} is no whole number from {low} to {MAX_SIZE}")
    return value
