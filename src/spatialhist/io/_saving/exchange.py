"""Parts of a zarr store change places with newly written ones by renaming: all of them or none.

The stage is a hidden folder inside the store, so that renaming stays within one file system. It has no zarr metadata,
so nothing that reads the store sees it. Everything is written there first. Then a journal names each step, and with it
the save is decided: whoever comes next carries out what a killed call has left of it. Without a journal the store is as
it was, and what lies in the stage is dropped.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import zarr

from spatialhist import _keys
from spatialhist._runtime.files import BROKEN, inside, intact, refuse_links, remove_folder, take_place, write_json
from spatialhist._runtime.lock import alone

STAGE = ".spatialhist-save"
LOCK = ".lock"
WAIT_S = 300
"""A save of a cohort takes seconds to minutes; one that takes longer has to be looked at by somebody."""
_OLD = "old"
_JOURNAL = "journal.json"
METADATA = "zarr.json"
"""File of a node that says what it is."""


@dataclass(frozen=True)
class Step:
    """What happens to one file or folder of a store.

    Attributes
    ----------
    path
        Its path in the store.
    new
        Path in the stage of what takes its place; None where it is only removed.
    """

    path: str
    new: str | None


@contextmanager
def staging(store: Path) -> Iterator[Path]:
    """Wait for other processes, then provide an empty stage; afterwards end what was decided and remove it.

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
            # not in the stage, which is removed while others wait for the lock
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


def complete(store: Path) -> None:
    """Carry out what a killed call has decided, before the store is read.

    Raises
    ------
    PermissionError
        If the store may not be written to.
    """
    if not (store / STAGE / _JOURNAL).exists():
        return
    try:
        with staging(store):
            pass
    except PermissionError as error:
        raise PermissionError(
            f"a process was killed while it saved into {store}, and the rest cannot be saved: open it once where it may be "
            "written to"
        ) from error


def recover(store: Path) -> None:
    """Carry out what a call has decided, or drop what it has only prepared; then remove its stage."""
    stage = store / STAGE
    if not (stage.exists() or stage.is_symlink()):
        return
    refuse_links(stage, any_link=True)
    if (stage / _JOURNAL).exists():
        carry_out(store)
    remove_folder(stage)


def decide(store: Path, steps: Sequence[Step]) -> None:
    """Say what will happen; from here on it does, whatever becomes of this process."""
    write_json(store / STAGE / _JOURNAL, [asdict(step) for step in steps])


def carry_out(store: Path) -> None:
    """Do the steps that are left, in order."""
    for number, step in enumerate(_journal(store)):
        _exchange(store, step, store / STAGE / _OLD / str(number))
    consolidate(store)
    (store / STAGE / _JOURNAL).unlink()


def _exchange(store: Path, step: Step, old: Path) -> None:
    """Replace a part by a staged one, add it where there was none, or remove it."""
    target, new = inside(store, step.path), None if step.new is None else inside(store / STAGE, step.new)
    if new is not None and not new.exists():
        return  # done before
    # a file is replaced in one step; a folder has to be moved away first
    if target.is_dir() or (new is None and target.exists()):
        old.parent.mkdir(exist_ok=True)
        take_place(target, old)
    if new is not None:
        take_place(new, target)


def _journal(store: Path) -> list[Step]:
    """Steps of a save; their paths are no paths of another kind.

    Raises
    ------
    ValueError
        If the journal holds anything else.
    """
    path = store / STAGE / _JOURNAL
    says = "{path} is no journal of this package ({error}): remove the folder it lies in"
    with intact(path, says, errors=(*BROKEN, ValueError)):
        steps = [Step(entry["path"], entry["new"]) for entry in json.loads(path.read_text())]
        for name in [*(step.path for step in steps), *(step.new for step in steps if step.new is not None)]:
            if any(part in ("", ".", "..", STAGE) for part in name.split("/")):
                raise KeyError(f"{name!r} is no part of a store")
        return steps


def read_columns(frame: Path) -> list[str]:
    """Columns of a stored data frame, in order."""
    return list(zarr.open_group(frame, mode="r", use_consolidated=False).attrs["column-order"])


def consolidate(store: Path) -> None:
    """Write the summary of what lies in a store, by which it opens faster."""
    import spatialdata as sd

    sdata = sd.SpatialData()
    sdata.path = store
    sdata.write_consolidated_metadata()
