"""Files and folders written whole or not at all, and broken ones named."""

from __future__ import annotations

import json
import os
import shutil
import struct
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

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
        raise ValueError(says.format(path=path, kind=type(error).__name__, error=error)) from error


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
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        shutil.rmtree(folder, ignore_errors=True)
        take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a path beside a folder that does not exist, or is empty, which takes its name when all is written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield new
        if folder.exists():
            folder.rmdir()
        take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def take_place(new: Path, path: Path) -> None:
    """Give a file or folder the name of another in one step; both lie in one file system."""
    os.replace(new, path)


def write_json(path: Path, data: Any) -> None:
    """Write JSON whole."""
    with whole_file(path) as new:
        new.write_text(json.dumps(data, indent=1, sort_keys=True))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array whole."""
    with whole_file(path) as new, new.open("wb") as file:
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
