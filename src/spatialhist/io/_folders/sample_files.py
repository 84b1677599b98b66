"""Files of a folder under their own name or with that of the sample in front, as downloads have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of several files that is there, None if none is; see `find_file`."""
    return next((file for name in names if (file := find_file(folder, name)) is not None), None)


def find_file(folder: Path, name: str) -> Path | None:
    """A file below a folder, with or without the sample's name in front; None if there is none.

    Raises
    ------
    ValueError
        If there are those of several samples.
    """
    file = folder / name
    if file.is_file():
        return file
    prefixed = sorted(file.parent.glob(f"*_{file.name}"))
    if len(prefixed) > 1:
        raise ValueError(
            f"{file.parent} holds {len(prefixed)} samples: {', '.join(p.name for p in prefixed[:4])}. Give each sample a "
            "folder of its own"
        )
    return prefixed[0] if prefixed else None
