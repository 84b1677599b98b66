"""Which spots of an AnnData belong to which slide, by the libraries that squidpy and scanpy know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.adopt import TABLE_KEYS
from spatialhist._sdata.values import as_words

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

COLUMN = "library_id"


@dataclass(frozen=True)
class Library:
    """Spots of one slide.

    Attributes
    ----------
    name
        What the AnnData calls it; None where it has a single slide without a name.
    rows
        Their positions in the table.
    entry
        What ``uns["spatial"]`` holds of it: small pictures and scale factors.
    """

    name: str | None
    rows: np.ndarray
    entry: Mapping[str, Any]


def find_libraries(adata: AnnData) -> list[Library]:
    """Return the libraries that have spots, in the order of their first spot.

    Raises
    ------
    ValueError
        If there are several and nothing says which spot belongs to which.
    """
    entries = _entries(adata)
    column = _column(adata, entries)
    if column is None:
        if len(entries) > 1:
            raise ValueError(
                f"uns['spatial'] has the libraries {list(entries)}, and no column of obs says which one a spot belongs to: "
                f"set adata.obs[{COLUMN!r}] to their names"
            )
        name = next(iter(entries), None)
        return [Library(name, np.arange(adata.n_obs), entries.get(name, {}))]
    words = _words(adata, column)
    names = list(words.unique())
    libraries = [Library(n, np.flatnonzero(words == n), entries.get(n, {})) for n in names]
    # one slide and one entry belong together, also where they have other names
    if len(names) == len(entries) == 1:
        return [replace(libraries[0], entry=next(iter(entries.values())))]
    return libraries


def _entries(adata: AnnData) -> dict[Any, Mapping[str, Any]]:
    found = adata.uns.get(_keys.SPATIAL, {})
    if not isinstance(found, Mapping):
        return {}
    return {str(name): entry for name, entry in found.items() if isinstance(entry, Mapping)}


def _column(adata: AnnData, entries: Mapping[Any, Any]) -> str | None:
    """Return the column that tells libraries apart."""
    said = adata.uns.get(TABLE_KEYS, {}).get("region_key")
    named = next((c for c in (COLUMN, said) if c in adata.obs), None)
    if named is not None or len(entries) < 2:
        return named
    # a column of another name counts only if each of its words is a library
    text = [c for c in adata.obs if adata.obs[c].dtype.kind not in "biuf"]
    return next((c for c in text if set(as_words(adata.obs[c])) <= set(entries)), None)


def _words(adata: AnnData, column: str) -> pd.Series:
    words = as_words(adata.obs[column])
    gaps = int(words.isna().sum())
    if gaps:
        raise ValueError(
            f"adata.obs[{column!r}] names no library for {gaps} of {adata.n_obs} spots: set it, or leave these spots out, "
            f"adata = adata[adata.obs[{column!r}].notna()]"
        )
    return words


def choose(libraries: Sequence[Library], chosen: str | Sequence[str] | None) -> list[Library]:
    """Pick libraries by name.

    Raises
    ------
    KeyError
        If one has no spots, or none is picked.
    """
    if chosen is None:
        return list(libraries)
    names = [chosen] if isinstance(chosen, str) else list(chosen)
    known = {library.name: library for library in libraries}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise KeyError(f"no spots of library {unknown} in adata; it has {list(known)}")
    return [known[name] for name in names]


def slide_ids(libraries: Sequence[Library], slide: str | Mapping[str, str] | None) -> list[str]:
    """Return the slide id of each library: the given one, or its name.

    Raises
    ------
    ValueError
        If two libraries would become one slide.
    """
    if isinstance(slide, str) and len(libraries) > 1:
        raise ValueError(
            f"slide={slide!r} is one id, and adata has the libraries {[one.name for one in libraries]}: give a dict of slide "
            "ids by library, or choose one with library="
        )
    given = per_library(libraries, slide, "slide")
    usual = [_keys.sanitize(one.name or "").strip("_.-") or "S1" for one in libraries]
    ids = [name if new is None else new for name, new in zip(usual, given, strict=True)]
    if len(set(ids)) < len(ids):
        raise ValueError(
            f"libraries {[one.name for one in libraries]} would become slides {ids}: give slide=, a dict of ids"
        )
    return ids


def per_library(libraries: Sequence[Library], value: Any, name: str) -> list[Any]:
    """Return what an option says of each library: the same of all, or what a dict holds, None where it holds nothing.

    Raises
    ------
    KeyError
        If the dict names a library that has no spots.
    """
    if not isinstance(value, Mapping):
        return [value] * len(libraries)
    known = [one.name for one in libraries]
    unknown = [key for key in value if key not in known]
    if unknown:
        raise KeyError(f"{name} names the libraries {unknown}, which adata has no spots of; it has {known}")
    return [value.get(one.name) for one in libraries]
