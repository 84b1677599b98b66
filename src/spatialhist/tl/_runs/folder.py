"""The run folder: a manifest, one folder a fit, out-of-fold predictions, one process at a time."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialhist import _keys
from spatialhist._runtime.files import intact, whole_folder, write_json
from spatialhist.tl._data import renamed
from spatialhist.tl._predictors.registry import current_description

MANIFEST = "manifest.json"
FORMAT = 1
OURS = ("cache", "inputs", "data.zarr", "log.txt")
"""What may lie in a folder before a run has started in it, besides hidden files and folders."""


def run_id(manifest: dict[str, Any]) -> str:
    """Short hash of everything that the result of a run depends on: its parameters and its data."""
    text = json.dumps(manifest["identity"], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run or model folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    ValueError
        If it is broken, or was written by a newer version.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{folder} is no run or model folder: it has no {MANIFEST}")
    with intact(path):
        manifest = json.loads(path.read_text())
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(found, int):
        raise ValueError(f"{path} is no manifest of spatialhist: it has no 'format'")
    if found > FORMAT:
        raise ValueError(f"{path} has format {found}, this version reads up to {FORMAT}: update spatialhist")
    return manifest


def check_facts(manifest: dict[str, Any]) -> None:
    """Look up what predicting and scoring need, so that a manifest without it fails when it is loaded.

    Raises
    ------
    KeyError, TypeError
        For :func:`intact`.
    """
    identity = manifest["identity"]
    for key in ("design", "layer", "seed", "threads"):
        identity[key]
    for facts in manifest["slides"].values():
        facts["pixels"]
    if not all(isinstance(name, str) for name in manifest["genes"]):
        raise TypeError("'genes' holds something else than names")
    manifest["ranking"]


def comparable(identity: dict[str, Any]) -> dict[str, Any]:
    """Return parameters of a run as JSON holds them, in the words of this version."""
    identity = renamed.identity(json.loads(json.dumps(identity)))
    kinds = [kind for kind in ("models", "baselines") if kind in identity]
    design = identity.get("design")
    return identity | {kind: [current_description(d, design) for d in identity[kind]] for kind in kinds}


def check_free(folder: Path, identity: dict[str, Any], *, overwrite: bool = False) -> None:
    """Refuse a folder in which a run of these parameters can neither start nor go on; nothing is changed.

    Raises
    ------
    FileExistsError
        If the folder holds a run with other parameters or data, or something else.
    """
    if (folder / MANIFEST).exists():
        held, wanted = comparable(read_manifest(folder).get("identity", {})), comparable(identity)
        differ = sorted(k for k in wanted if held.get(k) != wanted[k])
        if differ and not overwrite:
            raise FileExistsError(
                f"{folder} holds another run; they differ in {differ}: choose another out=, or pass overwrite=True"
            )
        return
    foreign = sorted(p.name for p in folder.iterdir() if p.name not in OURS and p.name[0] != ".")
    if foreign:
        raise FileExistsError(f"{folder} is no run folder and not empty ({foreign[:3]}): choose another out=")


def claim(folder: Path, manifest: dict[str, Any], *, overwrite: bool = False) -> None:
    """Claim a run folder for these parameters, or go on with the same run.

    Raises
    ------
    FileExistsError
        As :func:`check_free`.
    """
    check_free(folder, manifest["identity"], overwrite=overwrite)
    if overwrite:
        _remove_run(folder)
    if not (folder / MANIFEST).exists():
        write_json(folder / MANIFEST, manifest)


def _remove_run(folder: Path) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in ("folds", "inner", "full", "stack", "oof.zarr"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("scores.parquet", "report.html", "training_features.safetensors"):
        (folder / name).unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Work alone on a folder; the operating system lets go when the process dies.

    Raises
    ------
    FileExistsError
        If it is a file.
    RuntimeError
        If another process works on it.
    """
    from filelock import FileLock, Timeout

    if folder.is_file():
        raise FileExistsError(f"{folder} is a file: choose another out=")
    folder.mkdir(parents=True, exist_ok=True)
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
