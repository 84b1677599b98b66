"""Options that are numbers of a range."""

from __future__ import annotations

from typing import Any, get_args


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a number outside of a range, NaN among them.

    Raises
    ------
    ValueError
        With the range.
    """
    if not low <= value <= high:
        wanted = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        raise ValueError(f"{name}={value!r} must be {wanted}")


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuse a value that is not one of the strings of a ``Literal``."""
    if value not in get_args(choices):
        raise ValueError(f"{name}={value!r} is not one of {list(get_args(choices))}")
