"""Elements of an object, whatever their kind."""

from __future__ import annotations

from typing import Any


def put_element(elements: Any, key: str, value: Any) -> None:
    """Assign an element without the warning about overwriting, which is meant here."""
    if key in elements:
        del elements[key]
    elements[key] = value
