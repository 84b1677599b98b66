"""Files and folders written whole or not at all, and broken ones named."""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
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
"""What reading a damaged file raises."""


def write_json(path: Path, data: Any) -> None:
    """Write JSON under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(data, indent=1, sort_keys=True))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def intact(folder: Path) -> Iterator[None]:
    """Say that files of a run or model folder are broken or do not fit together, whatever shows it.

    Raises
    ------
    ValueError
        In the place of what a missing entry, a wrong type, or a file that is cut short raises.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (*BROKEN, SafetensorError) as error:
        raise ValueError(f"{folder} is broken ({type(error).__name__}: {error}): make the run again") from error


def replace(new: Path, old: Path) -> None:
    """Put a finished folder in the place of another."""
    shutil.rmtree(old, ignore_errors=True)
    os.replace(new, old)


def load_array(path: Path) -> np.ndarray | None:
    """Read an array; None where there is none, or another process has just cleared it away.

    Raises
    ------
    ValueError
        If it is broken.
    """
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise ValueError(f"{path} holds no features ({error}): remove it, and they are computed again") from error


def write_array(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getbuffer())


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file under a name of its own, then rename it: readers see all of it or nothing."""
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        new.write_bytes(data)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def complete_or_nothing(store: Path) -> Iterator[Path]:
    """Give a folder beside the store that takes its name when all is written, and vanishes when it is not."""
    store.parent.mkdir(parents=True, exist_ok=True)
    folder = store.with_name(f".{store.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield folder
        if store.exists():
            store.rmdir()
        os.replace(folder, store)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
