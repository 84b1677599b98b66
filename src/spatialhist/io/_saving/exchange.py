"""Parts of a zarr store change places with newly written ones by renaming.

The stage is a hidden folder inside the store, so that renaming stays within one file system. It has no zarr metadata,
so nothing that reads the store sees it. What an interrupted call left in it is put back by :func:`recover`.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import zarr

from spatialhist._runtime.files import take_place, whole_file, write_json

STAGE = ".spatialhist-save"
_OLD = "old"
_GONE = "gone"
_COLUMNS = "columns.json"


@contextmanager
def staging(store: Path) -> Iterator[Path]:
    """Provide an empty stage; afterwards, or on error, put back what is missing and remove it."""
    try:
        recover(store)
        stage = store / STAGE
        stage.mkdir()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise PermissionError(f"{store} may not be written to: save a copy with sdata.write(another_path)") from error
    try:
        yield stage
    finally:
        recover(store)


def recover(store: Path) -> None:
    """Put back what a call took away and did not replace, then remove its stage."""
    stage = store / STAGE
    if not stage.exists():
        return
    for old in _exchanged(stage / _OLD):
        target = store / old.relative_to(stage / _OLD)
        if not target.exists():
            take_place(old, target)
    journal = stage / _COLUMNS
    for frame, columns in json.loads(journal.read_text()).items() if journal.exists() else ():
        if (store / frame).exists():
            write_columns(store / frame, [c for c in columns if (store / frame / c).exists()])
    shutil.rmtree(stage)


def _exchanged(folder: Path) -> Iterator[Path]:
    """Outermost zarr nodes below a folder."""
    for path in folder.iterdir() if folder.exists() else ():
        if (path / "zarr.json").exists():
            yield path
        elif path.is_dir():
            yield from _exchanged(path)


def exchange(store: Path, path: str, new: Path | None) -> None:
    """Replace ``path`` in the store by a staged part, add it where there was none, or remove it for None."""
    target, old = store / path, store / STAGE / (_GONE if new is None else _OLD) / path
    if target.exists():
        old.parent.mkdir(parents=True, exist_ok=True)
        take_place(target, old)
    if new is not None:
        take_place(new, target)


def remember_columns(store: Path, frames: Sequence[str]) -> None:
    """Note the columns of stored data frames, for :func:`recover`."""
    journal = store / STAGE / _COLUMNS
    write_json(journal, {frame: read_columns(store / frame) for frame in frames})


def forget_columns(store: Path) -> None:
    """Leave the columns of the data frames as they are now."""
    (store / STAGE / _COLUMNS).unlink()


def read_columns(frame: Path) -> list[str]:
    """Columns of a stored data frame, in order."""
    return list(zarr.open_group(frame, mode="r", use_consolidated=False).attrs["column-order"])


def write_columns(frame: Path, columns: Sequence[str]) -> None:
    """Say which columns a stored data frame has; zarr replaces the file in one step."""
    zarr.open_group(frame, mode="r+", use_consolidated=False).attrs["column-order"] = list(columns)


def drop_consolidated(store: Path) -> None:
    """Let readers see what lies in the store, not what a summary says."""
    path = store / "zarr.json"
    metadata = json.loads(path.read_text())
    if metadata.pop("consolidated_metadata", None) is not None:
        with whole_file(path, folder=store / STAGE) as new:
            new.write_text(json.dumps(metadata))
