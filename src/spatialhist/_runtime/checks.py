"""Options that are numbers of a range."""

from __future__ import annotations


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
