"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock: Path, *, busy: str, wait_s: float = 0.0) -> Iterator[None]:
    """Work alone on what a file stands for; the operating system lets go when the process dies.

    Parameters
    ----------
    lock
        The file; it stays.
    busy
        The message where another process works there.
    wait_s
        How long to wait for it.

    Raises
    ------
    RuntimeError
        If another process has not let go by then.
    ValueError
        If the file is a link, whose target would be written to.
    """
    from filelock import FileLock, Timeout

    # opening it would make a file wherever the link leads
    if lock.is_symlink():
        raise ValueError(f"{lock} is a link, which this package never makes: remove it")
    try:
        held = FileLock(lock).acquire(timeout=wait_s)
    except Timeout as error:
        raise RuntimeError(busy) from error
    with held:
        yield
