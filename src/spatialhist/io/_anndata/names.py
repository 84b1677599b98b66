"""Names and columns that a zarr store can hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.values import as_words

RESERVED = "_index"
"""The column that anndata keeps names of rows in."""
MOST_TOLD = 5


@dataclass
class Renaming:
    """What was changed, by where it stands."""

    changed: dict[str, str] = field(default_factory=dict)

    def names(self, names: Iterable[Any], where: str) -> dict[Any, str]:
        """Return for each name one that a store can hold, and keep in mind which were changed."""
        new: dict[Any, str] = {}
        for name in names:
            plain = _keys.sanitize(str(name))
            plain = plain.lstrip("_") if plain == RESERVED or plain.startswith("__") else plain
            new[name] = _unused(plain or "column", new.values())
        # a number that became text is the same name to a reader, and is not told
        self.changed.update({f"{where}[{old!r}]": name for old, name in new.items() if str(old) != name})
        return new

    def told(self) -> str:
        """Return the first changes as text, and how many there are."""
        first = ", ".join(f"{old} is {new!r}" for old, new in list(self.changed.items())[:MOST_TOLD])
        more = len(self.changed) - MOST_TOLD
        return first + (f" and {more} more" if more > 0 else "")


def _unused(name: str, taken: Iterable[str]) -> str:
    """Return a name that differs from others in more than upper and lower case."""
    # a store is a folder, and disks of macOS and Windows do not tell case apart
    used, number, tried = {t.lower() for t in taken}, 1, name
    while tried.lower() in used:
        tried, number = f"{name}_{number}", number + 1
    return tried


def storable_frame(frame: pd.DataFrame, where: str, renaming: Renaming) -> pd.DataFrame:
    """Return a copy of which every column has a name and a type that a store can hold."""
    names = renaming.names(frame.columns, where)
    return pd.DataFrame({new: _storable(frame[old]) for old, new in names.items()}, index=frame.index)


def _storable(column: pd.Series) -> pd.Series:
    """Return a column as it is where it holds numbers, flags or categories of one kind, else as categories of text."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        plain = column.cat.categories.inferred_type in ("string", "integer", "floating", "boolean")
    else:
        plain = column.dtype.kind in "biuf"
    return column.copy() if plain else as_words(column).astype("category")
