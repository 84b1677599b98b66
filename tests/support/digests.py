"""Digests of objects and folders, part by part, to show that a refused call has changed nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import scipy.sparse as sp
import spatialdata as sd
from spatialdata.transformations import get_transformation

from spatialhist._sdata.images import levels_of

TABLE_PARTS = ("layers", "obsm", "obsp", "varm", "varp", "uns")


def stamp_folder(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, size and time of every file, by its path: what was written again differs. Cheaper than reading them."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            if name != ".lock":
                stat = os.stat(os.path.join(parent, name))
                found[os.path.relpath(os.path.join(parent, name), folder)] = (
                    stat.st_ino,
                    stat.st_size,
                    stat.st_mtime_ns,
                )
    return found


def digest_folder(folder: Path) -> dict[str, str]:
    """One digest a file, by its path."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): hashlib.blake2b(p.read_bytes(), digest_size=16).hexdigest() for p in found}


def digest_object(sdata: sd.SpatialData) -> dict[str, str]:
    """One digest a part of every element, and one of the attributes; pixels count by the graph that reads them."""
    parts = {"attrs": joblib.hash(sdata.attrs), "path": str(sdata.path)}
    for kind, name, element in sdata.gen_elements():
        found = _table(element) if kind == "tables" else _spatial(kind, element)
        parts |= {f"{kind}/{name}/{part}": joblib.hash(value) for part, value in found.items()}
    return parts


def _table(table: Any) -> dict[str, Any]:
    parts = {"X": _plain(table.X), "obs": _plain(table.obs), "var": _plain(table.var)}
    for name in TABLE_PARTS:
        parts |= {f"{name}/{key}": _plain(value) for key, value in getattr(table, name).items()}
    return parts


def _plain(value: Any) -> Any:
    """What a matrix or data frame holds, without what they remember of how they were used."""
    if sp.issparse(value):
        return value.format, value.shape, value.data, value.indices, value.indptr
    if isinstance(value, pd.DataFrame):
        kinds: list[Any] = [(c, str(t), list(getattr(t, "categories", []))) for c, t in value.dtypes.items()]
        return kinds, pd.util.hash_pandas_object(value).to_numpy()
    return value


def _spatial(kind: str, element: Any) -> dict[str, Any]:
    placed = get_transformation(element, get_all=True)
    parts: dict[str, Any] = {k: t.to_affine_matrix(("x", "y"), ("x", "y")) for k, t in placed.items()}
    if kind == "shapes":
        return parts | {
            "geometry": element.geometry.to_wkb().tolist(),
            "index": element.index,
            "radius": element.get("radius"),
        }
    return parts | {f"level {i}": _pixels(level.data) for i, level in enumerate(levels_of(element))}


def _pixels(data: Any) -> Any:
    """Name of a dask array, which says what is read and computed; the array itself where it is none."""
    return getattr(data, "name", None) or np.asarray(data)
