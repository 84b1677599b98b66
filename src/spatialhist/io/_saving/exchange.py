"""Parts of a zarr store change places with newly written ones by renaming.

The stage is a hidden folder inside the store, so that renaming stays within one file system. It has no zarr metadata,
so nothing that reads the store sees it. What an interrupted call left in it is put back by :func:`recover`.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import zarr

from spatialhist import _keys
from spatialhist._runtime.files import inside, intact, refuse_links, take_place, whole_file, write_json
from spatialhist._runtime.lock import alone

STAGE = ".spatialhist-save"
LOCK = "lock"
WAIT_S = 300
"""A save of a cohort takes seconds to minutes; one that takes longer has to be looked at by somebody."""
_OLD = "old"
_GONE = "gone"
_COLUMNS = "columns.json"
METADATA = "zarr.json"
"""File of a node that says what it is."""


@contextmanager
def staging(store: Path) -> Iterator[Path]:
    """Wait for other processes, then provide an empty stage; afterwards put back what is missing and remove it.

    Raises
    ------
    PermissionError
        If the store may not be written to.
    RuntimeError
        If another process goes on saving for longer than can be waited.
    """
    stage, lock = store / STAGE, inside(store, _keys.STORE_FOLDER, LOCK)
    with ExitStack() as held:
        try:
            lock.parent.mkdir(exist_ok=True)
            busy = f"another process has been saving into {store} for {WAIT_S} s: save again when it has ended"
            held.enter_context(alone(lock, busy=busy, wait_s=WAIT_S))
            recover(store)
            stage.mkdir()
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            raise PermissionError(
                f"{store} may not be written to: save a copy with sdata.write(another_path)"
            ) from error
        try:
            yield stage
        finally:
            recover(store)


def recover(store: Path) -> None:
    """Put back what a call took away and did not replace, then remove its stage."""
    stage = store / STAGE
    if not (stage.exists() or stage.is_symlink()):
        return
    refuse_links(stage, any_link=True)
    targets = {old: inside(store, str(old.relative_to(stage / _OLD))) for old in _exchanged(stage / _OLD)}
    frames = {inside(store, frame, METADATA).parent: columns for frame, columns in _journal(store)}
    for old, target in targets.items():
        if not target.exists():
            take_place(old, target)
    for frame, columns in frames.items():
        if frame.exists():
            write_columns(frame, [c for c in columns if (frame / c).exists()])
    shutil.rmtree(stage)


def _journal(store: Path) -> list[tuple[str, list[str]]]:
    """Frames of the store, with the columns that they had; the names are no paths of another kind.

    Raises
    ------
    ValueError
        If the journal holds anything else.
    """
    path = store / STAGE / _COLUMNS
    if not path.exists():
        return []
    with intact(path, "{path} is no journal of this package ({error}): remove the folder it lies in"):
        entries = list(json.loads(path.read_text()).items())
        for frame, columns in entries:
            kind, table, part = frame.split("/") if frame.count("/") == 2 else ("", "", "")
            plain = not any("/" in name or name in ("", ".", "..") for name in (table, *columns))
            if kind != "tables" or part not in ("obs", "var") or not plain:
                raise KeyError(f"{frame!r} is no data frame of a table")
        return entries


def _exchanged(folder: Path) -> Iterator[Path]:
    """Outermost zarr nodes below a folder."""
    for path in folder.iterdir() if folder.exists() else ():
        if (path / METADATA).exists():
            yield path
        elif path.is_dir():
            yield from _exchanged(path)


def exchange(store: Path, path: str, new: Path | None) -> None:
    """Replace ``path`` in the store by a staged part, add it where there was none, or remove it for None."""
    target, old = inside(store, path), store / STAGE / (_GONE if new is None else _OLD) / path
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
    path = store / METADATA
    metadata = json.loads(path.read_text())
    if metadata.pop("consolidated_metadata", None) is not None:
        with whole_file(path, folder=store / STAGE) as new:
            new.write_text(json.dumps(metadata))
