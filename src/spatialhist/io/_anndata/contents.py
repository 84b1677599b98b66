"""What an AnnData holds, under names and in types that a store can hold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from spatialhist import _keys
from spatialhist._sdata.adopt import TABLE_KEYS
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.counts import COUNTS, LOG_MARK
from spatialhist._sdata.flags import as_flags
from spatialhist._sdata.gene_names import IDS, unique_names
from spatialhist._sdata.values import as_matrix, as_words, check_positions
from spatialhist.io._anndata.names import Renaming, storable_frame

if TYPE_CHECKING:
    from anndata import AnnData

OWN = (_keys.REGION, _keys.INSTANCE, _keys.MEASURED)
"""Columns of ``obs`` that every slide gets."""


@dataclass(frozen=True)
class Contents:
    """A table that slides are made of.

    Attributes
    ----------
    adata
        Where matrices are read from.
    obs, var
        Its columns; genes have unique names.
    measured
        Which spots carry measurements; None where nothing says so.
    layers
        Names there, by the names that they get.
    obsm
        What is there but positions, by the names that it gets.
    """

    adata: AnnData
    obs: pd.DataFrame
    var: pd.DataFrame
    measured: np.ndarray | None
    layers: Mapping[str, str]
    obsm: Mapping[str, Any]


def look_at(adata: AnnData) -> Contents:
    """Check a table and give names that a store can hold to all that is taken of it.

    Raises
    ------
    TypeError, KeyError, ValueError
        As :func:`check_anndata`.
    """
    check_anndata(adata)
    renaming = Renaming()
    contents = Contents(
        adata,
        _obs(adata, storable_frame(adata.obs, "obs", renaming), renaming),
        _genes(storable_frame(adata.var, "var", renaming)),
        _flags(adata.obs),
        renaming.names(layer_names(adata), "layers"),
        _obsm(adata, renaming),
    )
    if renaming.changed:
        warnings.warn(f"names are changed: {renaming.told()}", stacklevel=3)
    return contents


def check_anndata(adata: Any) -> None:
    """Refuse what has no positions and no matrix to take.

    Raises
    ------
    TypeError
        If it is no AnnData.
    KeyError, ValueError
        Naming what is missing.
    """
    import anndata as ad

    if not isinstance(adata, ad.AnnData):
        raise TypeError(
            f"adata is a {type(adata).__name__}, not an AnnData: read a file with adata = anndata.read_h5ad(path), or "
            "sh.io.read(path)"
        )
    if not adata.n_obs or not adata.n_vars:
        raise ValueError(f"adata has {adata.n_obs} spots and {adata.n_vars} genes")
    if _keys.SPATIAL not in adata.obsm:
        raise KeyError(
            f"adata has no obsm['spatial'], x and y of every spot in pixels of the image; obsm has {list(adata.obsm)}: set "
            "adata.obsm['spatial']"
        )
    if adata.X is None:
        raise ValueError(f"adata has no X; layers has {layer_names(adata)}: set adata.X to raw counts")
    # scipy follows positions of a sparse matrix without looking: one outside would end the process, not the call
    for name, matrix in {"X": adata.X, **{f"layers[{k!r}]": adata.layers[k] for k in layer_names(adata)}}.items():
        check_positions(matrix, f"{name} of adata")


def _obs(adata: AnnData, frame: pd.DataFrame, renaming: Renaming) -> pd.DataFrame:
    """Return columns without those that a slide gets anyway; others of these names are kept under another one."""
    said = adata.uns.get(TABLE_KEYS, {})
    known = {said.get("region_key"), said.get("instance_key")} | (
        {_keys.MEASURED} if _flags(adata.obs) is not None else set()
    )
    # columns that say slide, spot and measured are written anew, from what was read of them
    frame = frame.drop(columns=[c for c in frame if c in known])
    taken = {c: f"original_{c}" for c in OWN if c in frame}
    renaming.changed.update({f"obs[{old!r}]": new for old, new in taken.items()})
    if _keys.PATIENT in frame:
        frame[_keys.PATIENT] = as_words(frame[_keys.PATIENT]).astype("category")
    return frame.rename(columns=taken)


def _obsm(adata: AnnData, renaming: Renaming) -> dict[str, Any]:
    names = renaming.names((k for k in adata.obsm if k != _keys.SPATIAL), "obsm")
    held = {new: adata.obsm[old] for old, new in names.items()}
    frames = {k: storable_frame(v, f"obsm[{k!r}]", renaming) for k, v in held.items() if isinstance(v, pd.DataFrame)}
    return {**held, **frames}


def _flags(obs: pd.DataFrame) -> np.ndarray | None:
    try:
        return as_flags(obs[_keys.MEASURED], _keys.MEASURED) if _keys.MEASURED in obs else None
    except ValueError:
        return None


def _genes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return genes under unique names: those of one symbol are numbered in the order of their ids."""
    names = frame.index.astype(str)
    # padded, so that places in the table sort as text in the order of their numbers
    ids = frame[IDS].astype(str) if IDS in frame else [f"{i:09d}" for i in range(len(frame))]
    return frame.set_axis(names if names.is_unique else unique_names(names, ids))


def positions(adata: AnnData, rows: np.ndarray) -> np.ndarray:
    """X and y of some spots ``(n, 2)``, which a third coordinate may follow."""
    xy = np.asarray(adata.obsm[_keys.SPATIAL])
    if xy.ndim != 2 or xy.shape[1] not in (2, 3):
        raise ValueError(f"adata.obsm['spatial'] has shape {xy.shape}; want ({adata.n_obs}, 2): x, y in pixels")
    return xy[rows, :2]


def expression(adata: AnnData, rows: np.ndarray, slide: str) -> Any:
    """``X`` of some spots, sparse or dense as it is.

    Raises
    ------
    ValueError
        If a value is negative, as of scaled data.
    """
    values = as_matrix(_part(adata.X, rows), "X of adata")
    stored = np.asarray(values.data if sparse.issparse(values) else values)
    if stored.size and np.nanmin(stored) < 0:
        better = f"adata.layers[{COUNTS!r}]" if COUNTS in layer_names(adata) else "raw counts"
        raise ValueError(
            f"X of adata is negative on slide {slide!r}, down to {np.nanmin(stored):.3g}, as scaled data are: set adata.X to "
            f"{better}, or to their logarithms"
        )
    return values


def _part(values: Any, rows: np.ndarray) -> Any:
    """Return some rows of a matrix, which may be in columns or still in its file."""
    # all rows: a slice, which a matrix in its file reads at once
    if len(rows) == values.shape[0]:
        return values[:]
    # other formats, such as COO, have no rows to take
    if sparse.issparse(values) and values.format not in ("csr", "csc"):
        values = values.tocsr()
    return values[rows]


def layers(contents: Contents, rows: np.ndarray) -> dict[str, Any]:
    """Return the layers of some spots; raw counts in ``raw`` become one where there is none of that name."""
    held = contents.adata.layers
    found = {new: as_matrix(_part(held[old], rows), f"layers[{old!r}]") for old, new in contents.layers.items()}
    raw = None if COUNTS in found else _raw_counts(contents.adata, rows)
    return found if raw is None else {**found, COUNTS: raw}


def _raw_counts(adata: AnnData, rows: np.ndarray) -> Any:
    """Return counts that ``raw`` holds of all genes while ``X`` holds none."""
    if adata.raw is None or not adata.raw.var_names.is_unique or not adata.var_names.isin(adata.raw.var_names).all():
        return None
    order = adata.raw.var_names.get_indexer(adata.var_names)
    found = as_matrix(_part(adata.raw.X, rows), "raw.X")[:, order]
    return found if _are_counts(found) and not _are_counts(as_matrix(_part(adata.X, rows), "X of adata")) else None


def _are_counts(matrix: Any) -> bool:
    stored = matrix.data if sparse.issparse(matrix) else matrix
    return bool(stored.size and (stored >= 0).all() and (stored == np.rint(stored)).all())


def obsm(contents: Contents, rows: np.ndarray, index: pd.Index) -> dict[str, Any]:
    """Return all of ``obsm`` but positions, for rows that get other names."""
    # a copy, since a slice of an array is a view: changing the slide would change the caller's table
    return {
        name: held.iloc[rows].set_axis(index) if isinstance(held, pd.DataFrame) else _part(held, rows).copy()
        for name, held in contents.obsm.items()
    }


def logarithm(uns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mark that ``X`` holds logarithms, with their base; nothing where it holds none."""
    if LOG_MARK not in uns:
        return {}
    said = uns[LOG_MARK]
    base = said.get("base") if isinstance(said, Mapping) else None
    # scanpy writes None for natural logarithms
    return {LOG_MARK: {"base": float(np.e if base is None else base)}}
