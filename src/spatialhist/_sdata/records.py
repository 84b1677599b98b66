"""What is recorded of a step: a dict in memory, one JSON text in a store or a file.

A dict of dicts would become a zarr array for every number in it, which takes longer to write than the slides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys

if TYPE_CHECKING:
    from anndata import AnnData


class Record(dict[str, Any]):
    """A dict that anndata writes as one JSON text."""

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy in another process has to know how it is written
        return as_record, (dict(self),)


def as_record(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as a record; a plain dict, which takes longer to write, where anndata has no place for its writer."""
    return Record(entry) if _is_written_as_text() else dict(entry)


@cache
def _is_written_as_text() -> bool:
    """Tell anndata once how a record is written; there is no public way to."""
    try:
        import h5py
        import zarr
        from anndata._io.specs.registry import _REGISTRY, IOSpec

        for group in (zarr.Group, h5py.Group):
            _REGISTRY.register_write(group, Record, IOSpec("string", "0.2.0"))(_write)
    except (ImportError, AttributeError, TypeError):
        return False
    return True


def _write(group: Any, key: str, record: Record, *, _writer: Any, dataset_kwargs: Mapping[str, Any] = {}) -> None:
    _writer.write_elem(
        group, key, json.dumps(record, default=_plain, ensure_ascii=False), dataset_kwargs=dataset_kwargs
    )


def _plain(value: Any) -> Any:
    """Arrays and numpy scalars as lists and numbers of Python."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a record cannot hold {value!r}")


def of_stored(entry: Any) -> Any:
    """Return an entry as it was read from a store: a text, or a dict where an earlier release or anndata wrote one."""
    if isinstance(entry, str):
        try:
            found = json.loads(entry)
        except ValueError:
            return entry
        return as_record(found) if isinstance(found, dict) else entry
    return as_record(entry) if type(entry) is dict else entry


def as_records(entries: Any) -> Any:
    """Return entries of a table as records, to be written; what is no dict stays as it is."""
    if not isinstance(entries, dict):
        return entries
    return {key: as_record(entry) if isinstance(entry, Mapping) else entry for key, entry in entries.items()}


def open_records(table: AnnData) -> None:
    """Let ``uns`` of a table hold its records as dicts."""
    entries = table.uns.get(_keys.ROOT)
    if isinstance(entries, dict):
        entries.update({key: of_stored(entry) for key, entry in entries.items()})


def read_text(folder: Path) -> str | None:
    """JSON of a record in the folder of a store, keys sorted, since a group has no order; None where there is none."""
    import zarr
    from anndata.io import read_elem

    if not folder.exists():
        return None
    entry = of_stored(read_elem(zarr.open(folder, mode="r")))
    return json.dumps(entry, default=_plain, sort_keys=True) if isinstance(entry, dict) else None
