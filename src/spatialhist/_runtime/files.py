"""Files and folders written whole or not at all, broken ones named, and paths kept inside the folder they belong to."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import struct
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist._runtime.lock import alone

if TYPE_CHECKING:
    import h5py

BROKEN = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    UnicodeDecodeError,
    json.JSONDecodeError,
)
"""What reading a damaged file of our own raises. No ValueError: those that we raise ourselves say more."""
UNDECODABLE = (
    *BROKEN,
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What decoders of other libraries raise on a damaged file."""
_REMOVALS, _REMOVAL_WAIT_S = 40, 0.05


def reason(error: BaseException) -> str:
    """What an error says, and that it is memory where no file is to blame."""
    text = str(error) or type(error).__name__
    return f"it takes more memory than there is, {text}" if isinstance(error, MemoryError) else text


@contextmanager
def intact(
    path: str | os.PathLike[str],
    says: str = "{path} is broken ({kind}: {error}): make the run again",
    *,
    errors: tuple[type[Exception], ...] = BROKEN,
) -> Iterator[None]:
    """Say that a file or folder is broken, whatever shows it.

    Parameters
    ----------
    path
        What is read.
    says
        The message; ``{path}``, ``{kind}`` and ``{error}`` stand for the path, the type and the text of the error.
    errors
        What shows it, beside errors of safetensors.

    Raises
    ------
    ValueError
        In the place of what a missing entry, a wrong type, or a file that is cut short raises.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (*errors, SafetensorError) as error:  # type: ignore[misc]
        raise ValueError(says.format(path=path, kind=type(error).__name__, error=reason(error))) from error


def inside(folder: Path, *names: str) -> Path:
    """Path below a folder, by names that a file holds or links that came with it.

    Every path that is not the user's own goes through here before it is opened or written.

    Parameters
    ----------
    folder
        What the user named; it may be a link itself.
    names
        Below it.

    Raises
    ------
    ValueError
        If it leads outside, by ``..``, as an absolute path or through a link.
    """
    path = folder.joinpath(*names)
    try:
        # resolved, so that neither .. nor a link leads outside
        real, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} in {folder} is no path: {error}") from error
    if not real.is_relative_to(root):
        raise ValueError(
            f"{path} leads outside of {folder}, to {real}, which is not touched: put a copy there in the place of the link "
            "or the name"
        )
    return path


def refuse_links(folder: Path, *, any_link: bool = False) -> None:
    """Refuse a folder that holds a link to outside, before anything below it is written, moved or removed.

    Parameters
    ----------
    folder
        Looked through at all depths; links are not followed.
    any_link
        Refuse links to inside too.

    Raises
    ------
    ValueError
        Naming the link.
    """
    for link in [folder] if any_link and folder.is_symlink() else _links(folder):
        if any_link:
            raise ValueError(f"{link} is a link, and this package makes none here: remove {folder}")
        inside(folder, str(link.relative_to(folder)))


def _links(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield from _links(Path(entry.path))


@contextmanager
def own_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file all of which lies in the file itself.

    Raises
    ------
    ValueError
        If anything in it, at any depth, is a link by name or reads another file; the message names it.
    OSError, RuntimeError
        If it is damaged.
    """
    import h5py

    with h5py.File(path, "r") as file:
        try:
            found = file.id.links.visit(partial(_foreign, file), info=True)
        except SystemError as error:  # so h5py tells of what goes wrong within its own lock
            raise OSError(f"it is damaged: {error.__cause__ or error.__context__ or error}") from error
        if found:
            raise ValueError(
                f"{path}: {found} is a link, or reads another file: write the values themselves into the file"
            )
        yield file


def _foreign(file: h5py.File, name: bytes, info: Any) -> str | None:
    """Name of a node that may lead to another file; None, which goes on, for others."""
    import h5py

    node = file[name] if info.type == h5py.h5l.TYPE_HARD else None
    own = node is not None and not (isinstance(node, h5py.Dataset) and (node.external or node.is_virtual))
    return None if own else name.decode(errors="replace")


def remove(path: Path) -> None:
    """Remove a file, a folder or a link, not what a link leads to; nothing where there is none."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        with suppress(OSError):
            remove_folder(path)


def remove_folder(path: Path) -> None:
    """Remove a folder to which threads of a write that failed may still be adding files."""
    for last in [False] * _REMOVALS + [True]:
        try:
            shutil.rmtree(path)
        except OSError as error:
            if last or error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise
        if not path.exists():
            return
        time.sleep(_REMOVAL_WAIT_S)


@contextmanager
def whole_file(path: Path, *, folder: Path | None = None) -> Iterator[Path]:
    """Give a path that takes the place of a file when all is written: readers see all of it or nothing.

    It lies beside the file, or in another folder of the same file system.
    """
    # a name of its own, since several threads and processes may write the same file
    new = (folder or path.parent) / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        yield new
        take_place(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside another that takes its place when all is written.

    One process at a time: what a killed one left is removed by the next.
    """
    new = folder.with_name(f".{folder.name}.tmp")
    remove(new)
    new.mkdir(parents=True)
    try:
        yield new
        # a folder that is not empty cannot be replaced in one step
        remove(folder)
        take_place(new, folder)
    finally:
        remove(new)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a path beside a folder that does not exist, or is empty, which takes its name when all is written.

    What a killed process left of the same folder is removed.

    Raises
    ------
    RuntimeError
        If another process is writing it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with alone(lock, busy=f"another process is writing {folder}: wait for it, or choose another path"):
        # whatever wrote these held the lock, so it has ended
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
            remove(left)
        new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            yield new
            # Windows renames over no folder, however empty
            if folder.exists():
                folder.rmdir()
            take_place(new, folder)
        finally:
            remove(new)
            # Windows removes no open file
            with suppress(OSError):
                lock.unlink()


def take_place(new: Path, path: Path) -> None:
    """Give a file or folder the name of another in one step; both lie in one file system."""
    os.replace(new, path)


def write_json(path: Path, data: Any) -> None:
    """Write JSON whole."""
    with whole_file(path) as new:
        # sorted, so that the same data are the same bytes
        new.write_text(json.dumps(data, indent=1, sort_keys=True))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array whole."""
    with whole_file(path) as new, new.open("wb") as file:
        # an open file, since numpy adds .npy to a name
        np.save(file, array, allow_pickle=False)


def load_array(path: Path) -> np.ndarray | None:
    """Read an array; None where there is none, or another process has just cleared it away.

    Raises
    ------
    ValueError
        If it is broken.
    """
    damaged = (*BROKEN, ValueError, MemoryError)
    with intact(path, "{path} holds no features ({error}): remove it, and they are computed again", errors=damaged):
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            return None
