"""Files from the network, once, checked and resumed where a download broke off."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from spatialhist._runtime.files import take_place
from spatialhist._runtime.quiet import loggers_at

CACHE_VARIABLE = "SPATIALHIST_CACHE"
CHUNK = 1 << 18
"""Bytes between two writes: what a download that breaks off has to fetch again at most."""
COMPLETE = 416
"""Answer to a request that starts behind the end of a file."""


def cache_folder(name: str, cache: str | Path | None) -> Path:
    """Folder for a data set: what was asked for, else below ``SPATIALHIST_CACHE``, else the user's cache."""
    import pooch

    root = cache or os.environ.get(CACHE_VARIABLE) or pooch.os_cache("spatialhist")
    return Path(root).expanduser() / name


def fetch(url: str, target: Path, sha256: str | None, *, progress: bool) -> None:
    """Download a file unless it is there already, and check it.

    Raises
    ------
    ConnectionError
        If the address cannot be read; the message says where the file can be put by hand.
    ValueError
        If the file is another than expected.
    """
    import pooch

    def resume(url: str, output: Any, _: Any) -> None:
        part = target.with_name(f"{target.name}.part")
        _append(url, part, progress)
        # only when it is complete: pooch checks what it finds under this name
        take_place(part, Path(output))

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # it tells the hash of every file that is not checked by its bytes
        with loggers_at(logging.WARNING, pooch.get_logger().name):
            pooch.retrieve(url, sha256 and f"sha256:{sha256}", fname=target.name, path=target.parent, downloader=resume)
    except OSError as error:
        raise ConnectionError(
            f"{url} cannot be read ({error}). Call again to go on where it stopped; without a network, put the file at "
            f"{target}, or name a folder that has it with cache= or {CACHE_VARIABLE}"
        ) from error


def _append(url: str, part: Path, progress: bool) -> None:
    """Add what is missing of a file."""
    from tqdm.auto import tqdm

    held = part.stat().st_size if part.exists() else 0
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={held}-"}), timeout=60)
    except HTTPError as error:
        if error.code == COMPLETE and held:
            return
        raise
    with response:
        # a server that cannot resume sends all of it again, with 200
        goes_on = response.status == 206
        total = int(response.headers.get("Content-Length", 0)) + held * goes_on
        bar = tqdm(
            total=total or None, initial=held * goes_on, desc=part.stem, unit="B", unit_scale=True, disable=not progress
        )
        with bar, part.open("ab" if goes_on else "wb") as file:
            while block := response.read(CHUNK):
                file.write(block)
                bar.update(len(block))
    if part.stat().st_size < total:
        raise ConnectionError(f"it broke off after {part.stat().st_size:,} of {total:,} bytes")
