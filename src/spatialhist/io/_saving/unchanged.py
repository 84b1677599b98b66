"""Whether an object and its store are both as the last save left them, told without reading what is stored.

A file in the store keeps a digest of what the object held and one of the sizes and times of the stored files. Where
either differs, or an image does not read from the store, a save compares part by part.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from spatialhist import _keys
from spatialhist._runtime.files import BROKEN, inside, write_json
from spatialhist.io._saving import changes, history
from spatialhist.io._saving.exchange import LOCK, STAGE

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

LAST = "last.json"
_CHUNKS = "c"
"""Folder of the chunks of an array; those of images are many, and only what reads from the store is taken for unchanged."""


class _Unknown(Exception):
    """Something of which there is no digest."""


def is_unchanged(sdata: SpatialData, store: Path) -> bool:
    """Whether an object has nothing that its store has not, as far as this can be told in no time."""
    path = inside(store, _keys.STORE_FOLDER, LAST)
    if (store / STAGE).exists() or not path.is_file():
        return False
    try:
        last = json.loads(path.read_text())
        return bool(last["files"] == _of_files(store) and last["object"] == _of_object(sdata, store))
    except (*BROKEN, ValueError, _Unknown):
        return False


def note(sdata: SpatialData, store: Path) -> None:
    """Remember what an object and its store hold, which are known to be equal."""
    # without the file, the next save compares part by part
    with contextlib.suppress(_Unknown, OSError):
        found = {"object": _of_object(sdata, store), "files": _of_files(store)}
        write_json(inside(store, _keys.STORE_FOLDER, LAST), found)


def _of_files(store: Path) -> str:
    content = hashlib.blake2b(digest_size=16)
    for path in sorted(_files(store)):
        facts = path.stat()
        name = path.relative_to(store).as_posix()
        content.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ino}\n".encode())
    return content.hexdigest()


def _files(store: Path) -> Iterator[Path]:
    """Files of a store but those of pixels."""
    for folder, folders, names in os.walk(store):
        here = Path(folder)
        if any((here / name).is_symlink() for name in folders):
            raise _Unknown
        pixels = here.relative_to(store).parts[:1] in (("images",), ("labels",))
        folders[:] = [f for f in folders if f != STAGE and not (pixels and f == _CHUNKS)]
        own = {LOCK, LAST} if here.name == _keys.STORE_FOLDER else set()
        yield from (here / name for name in names if name not in own)


def _of_object(sdata: SpatialData, store: Path) -> str:
    content = hashlib.blake2b(digest_size=16)
    for path, value in _parts(sdata, store):
        content.update(f"{path}\0{_digest(value)}\n".encode())
    return content.hexdigest()


def _parts(sdata: SpatialData, store: Path) -> Iterator[tuple[str, Any]]:
    yield "attrs", dict(sdata.attrs)
    for kind in ("images", "labels"):
        for name, element in getattr(sdata, kind).items():
            if not changes.reads_from(element, store / kind / name):
                raise _Unknown
            yield f"{kind}/{name}", changes.place(element)
    # points that are stored are not compared
    yield "points", sorted(sdata.points)
    for name, frame in sdata.shapes.items():
        yield f"shapes/{name}", frame
        yield f"shapes/{name}/place", changes.place(frame)
    for name, table in sdata.tables.items():
        yield from ((f"tables/{name}/{part}", value) for part, value in _table_parts(table).items())


def _table_parts(table: AnnData) -> dict[str, Any]:
    parts = changes.arrays(table)
    raw = parts.pop("raw")
    if raw is not None:
        parts |= {"raw/X": raw.X, "raw/var": raw.var, **{f"raw/varm/{key}": value for key, value in raw.varm.items()}}
    return {"obs": table.obs, "var": table.var, "uns": dict(table.uns), **parts}


def _digest(value: Any) -> str:
    content = hashlib.blake2b(digest_size=16)
    try:
        for piece in _pieces(value):
            content.update(f"{len(piece)}\0".encode() + piece)
    except TypeError as error:
        # of pandas, about a column of lists
        raise _Unknown from error
    return content.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """Bytes that tell a value from others; types that no store gives back may change unseen."""
    if sp.issparse(value) and value.format in ("csr", "csc"):
        yield f"{value.format} {history.digest_array(value)}".encode()
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield history.digest_array(value).encode()
    elif isinstance(value, np.ndarray):
        yield repr(value.shape).encode()
        yield from _column(pd.Series(value.ravel()))
    elif isinstance(value, pd.DataFrame):
        for name in value.columns:
            yield repr(name).encode()
            yield from _column(value[name])
        yield repr((value.index.names, value.index.dtype)).encode()
        yield pd.util.hash_pandas_object(value.index, index=False).to_numpy().tobytes()
    elif isinstance(value, dict | list):
        yield f"{type(value).__name__} {len(value)}".encode()
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield repr(key).encode()
            yield from _pieces(entry)
    elif value is None or isinstance(value, bool | int | float | str | np.generic):
        yield repr((type(value), value)).encode()
    else:
        raise _Unknown


def _column(values: pd.Series) -> Iterator[bytes]:
    import shapely

    if str(values.dtype) == "geometry":
        shapes = shapely.to_wkb(np.asarray(values), include_srid=True)
        yield from (b"" if shape is None else shape for shape in shapes)
        return
    kind = pd.api.types.infer_dtype(values, skipna=True) if values.dtype == object else ""
    categories = [*values.cat.categories, values.cat.ordered] if isinstance(values.dtype, pd.CategoricalDtype) else []
    yield repr((str(values.dtype), kind, categories)).encode()
    yield pd.util.hash_pandas_object(values, index=False).to_numpy().tobytes()
