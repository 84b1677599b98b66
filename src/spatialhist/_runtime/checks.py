"""Options that are numbers of a range, one of a few words, or folders."""

from __future__ import annotations

import os
from pathlib import Path
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


def at_least(given: Any, **lowest: int) -> None:
    """Refuse fields of a model that are no whole numbers, or too small, before anything is computed.

    Parameters
    ----------
    given
        Has a ``name``, and these fields.
    lowest
        Least value of each field.

    Raises
    ------
    ValueError
        With the least value.
    """
    for field, least in lowest.items():
        value = getattr(given, field)
        if not isinstance(value, int) or value < least:
            raise ValueError(
                f"{field}={value!r} of {type(given).__name__} {given.name!r} must be a whole number (int) of at least {least}"
            )


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


def as_folder(name: str, path: Any) -> Path | None:
    """A folder that is there or can be made; None where none is asked for.

    Raises
    ------
    TypeError
        If it is no path.
    NotADirectoryError
        If a file is in its place, or above it.
    """
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name}={path!r} must be the path of a folder, or None")
    folder = Path(path)
    above = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not above.is_dir():
        raise NotADirectoryError(
            f"{name}={str(path)!r} cannot be a folder, since {above} is a file: choose another {name}="
        )
    return folder
