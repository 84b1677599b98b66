"""What was saved into a store, so that an object read before does not undo what others have saved since.

A file in the store lists every save: which parts it changed, and what they had held. Attributes of the store name the
last one, and so does every object that is read from it. What comes later in the list is what the object has not seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import zarr

from spatialhist import _keys
from spatialhist._runtime.files import BROKEN, inside, intact, write_json
from spatialhist._sdata.records import read_text

if TYPE_CHECKING:
    from spatialdata import SpatialData

HISTORY = "history.json"
KEPT = 1000
"""Saves that are remembered: an object that was read before all of them has to be read again."""
SAVED = "saved"
"""Entry of ``sdata.attrs`` with the saves that an object knows: the one it was read after, and its own since."""
UNKNOWN = "unknown"
"""Stands for images, which are too large to be read only to be compared later."""
_ARRAYS = ("X", "layers", "obsm", "obsp", "varm", "varp")

Digests = dict[str, str | None]


@dataclass(frozen=True)
class Save:
    """One save.

    Attributes
    ----------
    name
        Its own.
    after
        That of the save before it; None for the first into a store.
    held
        Digest of what each changed part held, None where there was nothing.
    """

    name: str
    after: str | None
    held: Digests


def read_history(store: Path) -> list[Save]:
    """List the saves into a store; none where there was none.

    Raises
    ------
    ValueError
        If the file is broken.
    """
    path = inside(store, _keys.STORE_FOLDER, HISTORY)
    if not path.exists():
        return []
    with intact(path, "{path} is broken ({kind}: {error}): remove it", errors=(*BROKEN, ValueError)):
        saves = [Save(entry["name"], entry["after"], dict(entry["held"])) for entry in json.loads(path.read_text())]
    return saves


def next_save(saves: Sequence[Save], sdata: SpatialData, held: Digests) -> Save:
    """Name the save that comes after others."""
    after = saves[-1].name if saves else known(sdata)[0]
    text = json.dumps([after, sorted(held.items())])
    return Save(hashlib.blake2b(text.encode(), digest_size=8).hexdigest(), after, held)


def write_history(path: Path, saves: Sequence[Save]) -> None:
    """Write the last saves into a file."""
    write_json(path, [asdict(save) for save in saves[-KEPT:]])


def remember(sdata: SpatialData, save: Save) -> None:
    """Let an object know of its own save."""
    seen = known(sdata)
    sdata.attrs.setdefault(_keys.ROOT, {})[SAVED] = [save.name] if [save.after] == seen else [*seen, save.name]


def known(sdata: SpatialData) -> list[str | None]:
    """Names of the saves that an object knows."""
    return sdata.attrs.get(_keys.ROOT, {}).get(SAVED) or [None]


def unseen(saves: Sequence[Save], seen: Sequence[str | None], store: Path) -> Digests:
    """What parts of a store held before others changed them, after an object had last read or saved them.

    Raises
    ------
    ValueError
        If the history does not reach back to what the object was read from.
    """
    names = [None if not saves else saves[0].after, *(save.name for save in saves)]
    if saves and seen[0] not in names:
        raise ValueError(
            f"{store} is not the store that this object was read from, or was saved more than {KEPT} times since: read it "
            "again, sdata = sh.io.read(path), or keep this object in another one, sdata.write(another_path)"
        )
    changed: Digests = {}
    for save in saves[names.index(seen[0]) :] if saves else ():
        if save.name in seen:
            changed = {path: held for path, held in changed.items() if path not in save.held}
        else:
            changed = {**save.held, **changed}
    return changed


def digest(folder: Path, path: str) -> str | None:
    """Digest of what a part holds in a store or a stage; None where there is nothing."""
    from anndata.io import read_elem

    kind, _, part = path.partition("/")
    if not folder.exists():
        return None
    if kind in ("images", "labels"):
        return UNKNOWN
    if kind == "tables" and part.split("/")[1:2] and part.split("/")[1] in _ARRAYS:
        return digest_array(read_elem(zarr.open(folder, mode="r")))
    if part.split("/")[1:-1] == ["uns", _keys.ROOT] and (text := read_text(folder)) is not None:
        return digest_json(json.loads(text))
    content = hashlib.blake2b(digest_size=8)
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        content.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode())
        content.update(file.read_bytes())
    return content.hexdigest()


def digest_array(value: Any) -> str:
    """Digest of the values of an array, however it is stored."""
    parts = [getattr(value, name) for name in ("indptr", "indices", "data")] if sp.issparse(value) else [value]
    content = hashlib.blake2b(repr((type(value).__name__, getattr(value, "shape", None))).encode(), digest_size=8)
    for array in map(np.asarray, parts):
        content.update(str(array.dtype).encode())
        content.update(
            np.ascontiguousarray(array).tobytes() if array.dtype != object else repr(array.tolist()).encode()
        )
    return content.hexdigest()


def digest_json(value: Any) -> str | None:
    """Digest of what JSON holds; None for None."""
    text = json.dumps(value, sort_keys=True)
    return None if value is None else hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def leaves(attrs: Mapping[str, Any], keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Attributes by their path of keys, but for what this module keeps among them."""
    found: dict[str, Any] = {}
    for key, value in attrs.items():
        path = (*keys, key)
        if path == (_keys.ROOT, SAVED):
            continue
        found |= leaves(value, path) if isinstance(value, dict) and value else {"attrs" + json.dumps(path): value}
    return found


def set_leaf(attrs: dict[str, Any], path: str, value: Any) -> None:
    """Give attributes the value of one path."""
    *parents, last = json.loads(path.removeprefix("attrs"))
    for key in parents:
        if not isinstance(attrs.setdefault(key, {}), dict):
            attrs[key] = {}
        attrs = attrs[key]
    attrs[last] = value
