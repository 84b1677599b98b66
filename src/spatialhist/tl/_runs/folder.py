"""The run folder: claimed by a manifest, one folder per fit, out-of-fold predictions, one process at a time."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialhist import _keys
from spatialhist._runtime.checks import as_folder
from spatialhist._runtime.files import refuse_links, remove, whole_folder
from spatialhist.tl._data.design import Design
from spatialhist.tl._runs.manifest import MANIFEST, Manifest, parsed

OURS = ("cache", "inputs", "data.zarr", "log.txt")
"""What may lie in a folder before a run has started in it, besides hidden files and folders."""


def run_folder(out: str | Path | None) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Return the folder of a run; where none is asked for, a temporary one and what keeps it from being removed."""
    if out:
        return Path(out), None
    temporary = tempfile.TemporaryDirectory(prefix="spatialhist-")
    return Path(temporary.name), temporary


def as_recorded(design: Design, out: str | Path | None, *, overwrite: bool = False) -> Design:
    """Complete a design by that of the run to be resumed, so that it goes on with the tiles with which it began.

    Raises
    ------
    TypeError, NotADirectoryError
        If ``out`` is no path, or a file.
    """
    folder = as_folder("out", out or None)
    if folder is None or overwrite or not (folder / MANIFEST).exists():
        return design
    return design.completed(Manifest.read(folder).design)


def check_free(folder: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Refuse a folder in which a run of these parameters can neither start nor go on; nothing is changed.

    Raises
    ------
    FileExistsError
        If the folder holds a run with other parameters or data, or something else.
    """
    if not (folder / MANIFEST).exists():
        foreign = sorted(p.name for p in folder.iterdir() if p.name not in OURS and p.name[0] != ".")
        if foreign:
            raise FileExistsError(f"{folder} is no run folder and not empty ({foreign[:3]}): choose another out=")
    elif overwrite:
        # a folder of another program is not to be removed
        parsed(folder)
    elif differ := Manifest.read(folder).differences(manifest.identity):
        raise FileExistsError(
            f"{folder} holds another run; they differ in {differ}{_by_python(differ)}: choose another out=, or pass "
            "overwrite=True"
        )


def _by_python(differ: list[str]) -> str:
    """Say that it may be Python that has changed, where hashes of code differ under ``-O``."""
    from spatialhist.nn._fingerprint import python_note

    return python_note() if sys.flags.optimize and {"design", "models"} & set(differ) else ""


def claim(folder: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Claim a run folder for these parameters, or go on with the same run, whose manifest stays as it is.

    Raises
    ------
    FileExistsError
        As :func:`check_free`.
    """
    check_free(folder, manifest, overwrite=overwrite)
    if overwrite:
        _remove_run(folder)
    if not (folder / MANIFEST).exists():
        manifest.write(folder)


def _remove_run(folder: Path) -> None:
    run = (MANIFEST, "folds", "inner", "full", "stack", "oof.zarr")
    for name in (*run, "scores.parquet", "report.html", "training_features.safetensors", "signatures.safetensors"):
        remove(folder / name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Work alone on a folder; the operating system lets go when the process dies.

    Raises
    ------
    ValueError
        If a link in it leads to somewhere else, which would be written to.
    RuntimeError
        If another process works on it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    refuse_links(folder)
    # fails at once, since how long the other process takes is unknown
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout as error:
        raise RuntimeError(f"another process works on {folder}: wait for it, or choose another out=") from error


def group_folder(groups: list[str], held_out: tuple[str, ...]) -> str:
    """Folder name of held-out groups; numbered, since sanitized names may coincide."""
    return "+".join(f"{groups.index(g):02d}_{_keys.sanitize(g)}" for g in held_out) or "all"


def write_oof(folder: Path, layers: dict[str, Any], rows: dict[str, list[str]], genes: list[str]) -> None:
    """Write out-of-fold predictions as zarr, whole."""
    import zarr

    with whole_folder(folder / "oof.zarr") as new:
        root = zarr.open_group(new, mode="w")
        root.attrs.update({"genes": genes, "rows": rows})
        for name, values in layers.items():
            root.create_array(_keys.sanitize(name), data=values)
