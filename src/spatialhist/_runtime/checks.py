"""Options that are numbers of a range, or one of a few words."""

from __future__ import annotations

from typing import Any, get_args


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a number outside of a range, NaN among them.

    Raises
    ------
    ValueError
        With the range.
    """
    # written so that NaN, which compares as false, is refused
    if not low <= value <= high:
        wanted = f"{low:g} or more" if high == float("inf") else f"{low:g} to {high:g}"
        raise ValueError(f"{name}={value!r} must be {wanted}")


def check_choice(name: str, value: str, choices: Any, *, otherwise: str = "") -> None:
    """Refuse a value that is not one of several.

    Parameters
    ----------
    name, value
        Of the option.
    choices
        A ``Literal``, or the values.
    otherwise
        What else it could have been, in words.

    Raises
    ------
    ValueError
        If it is none of them; the message lists them.
    """
    known = get_args(choices) or tuple(choices)
    if value not in known:
        raise ValueError(f"{name}={value!r} is not one of {list(known)}{otherwise and f' {otherwise}'}")
