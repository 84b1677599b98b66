"""What an encoder says of the tiles that it takes and of its features."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple


class StatedInput(NamedTuple):
    """What an encoder says that it takes and gives."""

    pixels: int | None = None
    um_per_pixel: float | None = None
    dimension: int | None = None

    @classmethod
    def of(cls, encode: object, name: str, **told: Any) -> StatedInput:
        """Take what was told, else the attributes of what encodes.

        Raises
        ------
        ValueError
            If one is no positive number, or not a whole one where it has to be.
        """
        stated = {key: getattr(encode, key, None) if told[key] is None else told[key] for key in cls._fields}
        return cls(
            **{key: _size(name, key, value, float if key == "um_per_pixel" else int) for key, value in stated.items()}
        )


def _size(name: str, key: str, value: Any, kind: type) -> Any:
    """Check a size that an encoder states."""
    if value is None:
        return None
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < (number := float(value)) < float("inf"):
        if kind is float or number == int(number):
            return kind(value)
    wanted = "a whole number of at least 1" if kind is int else "a positive number"
    raise ValueError(f"encoder {name} has {key}={value!r}: make it {wanted}, or None where it is not known")
