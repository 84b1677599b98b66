"""What an object holds that its store does not."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import zarr

from spatialhist import _keys
from spatialhist._sdata.compat import write_part
from spatialhist._sdata.coordinates import matrix, transformations
from spatialhist._sdata.records import as_records, read_text
from spatialhist.io._saving.exchange import METADATA, read_columns

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

    Parts = dict[str, Path | None]

_MAPPINGS = ("layers", "obsm", "obsp", "varm", "varp", "uns")
_OURS = f"uns/{_keys.ROOT}"


def check_attrs(sdata: SpatialData) -> None:
    """Refuse attributes that JSON cannot hold.

    Raises
    ------
    ValueError
        Naming the entry.
    """
    for key, value in sdata.attrs.items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise ValueError(f"sdata.attrs[{key!r}] cannot be stored: {error}") from error


def reads_from(element: Any, folder: Path) -> bool:
    """Whether an image or mask is exactly what lies in a folder of a store, read lazily."""
    from spatialhist._sdata.images import _stored, levels_of

    arrays = [_stored(level.data) if hasattr(level.data, "dask") else None for level in levels_of(element)]
    return all(a is not None and Path(str(getattr(a.store, "root", ""))) == folder for a in arrays)


def same_pixels(element: Any, stored: Any) -> bool:
    """Whether two images or masks have equal levels, channels and pixels; computes lazy ones."""
    import dask.array as da

    from spatialhist._sdata.images import levels_of

    new, old = levels_of(element), levels_of(stored)
    if [(a.shape, a.dtype, a.dims) for a in new] != [(a.shape, a.dtype, a.dims) for a in old]:
        return False
    if "c" in new[0].coords and list(new[0].coords["c"].values) != list(old[0].coords["c"].values):
        return False
    return all(bool((da.asarray(a.data) == da.asarray(b.data)).all()) for a, b in zip(new, old, strict=True))


def place(element: Any) -> dict[str, list[list[float]]]:
    """Matrix by which an image or mask lies in each coordinate system."""
    return {system: matrix(element, system).tolist() for system in transformations(element)}


def same_files(a: Path, b: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    if not a.is_dir() or not b.is_dir():
        return False
    files = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    if files != sorted(p.relative_to(b) for p in b.rglob("*") if p.is_file()):
        return False
    return all(filecmp.cmp(a / f, b / f, shallow=False) for f in files)


def stage_parts(table: AnnData, stored: Path, stage: Path) -> Parts | None:
    """Write the parts of a table that differ from the stored one.

    Returns
    -------
    Parts | None
        Staged folder per part (``"layers/log1p"``, ``"obs/spot_qc"``, ...), None for a part that is gone; None
        altogether where there is none, or spots, genes or what it annotates have changed, so that the whole table must
        be written.

    Raises
    ------
    ValueError
        Naming the entry of ``uns`` that zarr cannot hold.
    """
    out = zarr.open_group(stage, mode="w")
    frames = {"obs": table.obs, "var": table.var}
    for name, frame in frames.items():
        write_part(out, name, frame)
    for key, value in table.uns.items():
        try:
            write_part(out, f"uns/{key}", as_records(value) if key == _keys.ROOT else value)
        except Exception as error:
            raise ValueError(f"uns[{key!r}] of table {stored.name!r} cannot be stored: {error}") from error
    if not stored.exists() or not all(same_files(stage / p, stored / p) for p in _identity(table, stage)):
        return None
    big = zarr.open_group(stored, mode="r", use_consolidated=False)
    parts: Parts = {}
    # compared as arrays: chunks and compression may differ between stores of equal values
    for path, value in arrays(table).items():
        if not _same_array(value, big, path):
            write_part(out, path, value)
            parts[path] = stage / path
    small = [*(f"{n}/{c}" for n, f in frames.items() for c in f.columns), *_uns_parts(stage)]
    # a store without our entry gets it as a whole, since a part needs a group to lie in
    if not (stored / _OURS / METADATA).exists():
        small = list(dict.fromkeys(_OURS if path.startswith(f"{_OURS}/") else path for path in small))
    parts |= {path: stage / path for path in small}
    parts = {path: new for path, new in parts.items() if not _is_stored(stage, stored, path)}
    kept = {*small, *arrays(table)}
    return parts | {path: None for path in _stored_parts(stored) if path not in kept}


def _is_stored(stage: Path, stored: Path, path: str) -> bool:
    """Whether a staged part equals the stored one; records are told apart by what they say, not by how it is stored."""
    if same_files(stage / path, stored / path):
        return True
    text = read_text(stage / path) if path.startswith(f"{_OURS}/") else None
    return text is not None and text == read_text(stored / path)


def _identity(table: AnnData, stage: Path) -> list[str]:
    """Parts without which the rest has no meaning."""
    from spatialdata.models import TableModel

    annotation = table.uns.get(TableModel.ATTRS_KEY, {})
    keys = [annotation[k] for k in (TableModel.REGION_KEY_KEY, TableModel.INSTANCE_KEY) if annotation.get(k)]
    index = [f"{n}/{json.loads((stage / n / 'zarr.json').read_text())['attributes']['_index']}" for n in ("obs", "var")]
    return [*index, *(f"obs/{key}" for key in keys), *([f"uns/{TableModel.ATTRS_KEY}"] if annotation else [])]


def arrays(table: AnnData) -> dict[str, Any]:
    """List everything of a table but its two data frames and ``uns``."""
    found = {"X": table.X, "raw": table.raw}
    for name in _MAPPINGS[:-1]:
        found |= {f"{name}/{key}": value for key, value in getattr(table, name).items() if key is not None}
    return found


def _stored_parts(stored: Path) -> list[str]:
    """Entries of the mappings and columns of the data frames that lie in a store."""
    entries = [f"{n}/{p.name}" for n in _MAPPINGS[:-1] for p in (stored / n).iterdir() if p.is_dir()]
    return [*entries, *_uns_parts(stored), *(f"{n}/{c}" for n in ("obs", "var") for c in read_columns(stored / n))]


def _uns_parts(table: Path) -> list[str]:
    """Entries of a written ``uns``; those of our own one by one, since two processes may add to them."""
    names = sorted(p.name for p in (table / "uns").iterdir() if p.is_dir()) if (table / "uns").is_dir() else []
    own = sorted(p.name for p in (table / _OURS).iterdir() if p.is_dir()) if _keys.ROOT in names else []
    return [*(f"uns/{n}" for n in names if not own or n != _keys.ROOT), *(f"{_OURS}/{n}" for n in own)]


def _same_array(value: Any, stored: zarr.Group, path: str) -> bool:
    """Whether a numpy or sparse array equals the stored one; what is neither is told apart by its files."""
    from anndata.io import read_elem

    if path not in stored or not (isinstance(value, np.ndarray) or sp.issparse(value)):
        return False
    return _equal(value, read_elem(stored[path]))


def _equal(a: Any, b: Any) -> bool:
    if sp.issparse(a) and sp.issparse(b):
        return (a.shape, a.format) == (b.shape, b.format) and all(
            _equal(getattr(a, part), getattr(b, part)) for part in ("data", "indices", "indptr")
        )
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray) or (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
