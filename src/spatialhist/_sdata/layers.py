"""Adding layers, columns and provenance to the table."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.records import as_record, of_stored
from spatialhist._sdata.values import as_matrix

if TYPE_CHECKING:
    from anndata import AnnData

MAX_LAYER_GB = 4.0
"""As much as 50,000 spots x 20,000 genes of float32."""


def check_layer_size(n_obs: int, n_vars: int, *, n_layers: int = 1, max_layer_gb: float = MAX_LAYER_GB) -> None:
    """Refuse dense float32 layers that would not fit, before any work is done.

    Raises
    ------
    MemoryError
        If the dense layer would exceed the limit; the message gives its size and a call that makes it fit.
    """
    size = n_obs * n_vars * 4 * n_layers / 1e9
    if size > max_layer_gb:
        raise MemoryError(
            f"{n_layers} dense layer(s) of {n_obs:,} spots x {n_vars:,} genes need {size:.1f} GB, more than "
            f"max_layer_gb={max_layer_gb:g}: narrow the table with sh.pp.select_genes(sdata, n=2000, subset=True)"
        )


def get_layer(table: AnnData, layer: str | None) -> Any:
    """Return ``X`` for None or ``"X"``, else a layer, as CSR or an array; or say which layers there are."""
    if layer in (None, "X"):
        if table.X is None:
            raise KeyError(f"the table has no X; it has the layers {layer_names(table)}")
        return as_matrix(table.X, "X")
    if layer not in table.layers:
        calls = {
            _keys.LOG1P: "pp.log_normalize(sdata)",
            _keys.RANKS: "pp.rank_expression(sdata)",
            _keys.PEARSON_RESIDUALS: "pp.pearson_residuals(sdata)",
            _keys.LOG1P_BEYOND_DEPTH: "pp.regress_depth(sdata)",
            _keys.PREDICTED: "tl.predict(sdata, model)",
        }
        advice = f"; make it with sh.{calls[layer]}" if layer in calls else ""
        raise KeyError(f"no layer {layer!r}; found {layer_names(table)}{advice}")
    return as_matrix(table.layers[layer], f"layers[{layer!r}]")


def check_key(key: str) -> None:
    """Refuse a name that the store could not hold.

    Raises
    ------
    ValueError
        With a name that would do.
    """
    if not key or _keys.sanitize(key) != key:
        raise ValueError(
            f"key_added={key!r} must hold only letters, digits, '_', '.', '-'; try {_keys.sanitize(key)!r}"
        )


def get_dense_layer(table: AnnData, layer: str | None) -> np.ndarray:
    """Return ``X`` or a layer as an array."""
    values = get_layer(table, layer)
    return values if isinstance(values, np.ndarray) else values.toarray()


def add_dense_rows(
    table: AnnData, layer: str, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, *, fresh: bool = False
) -> None:
    """Put values into some rows and columns of a dense float32 layer; what was never predicted is NaN.

    Parameters
    ----------
    table
        The table.
    layer
        Name of the layer; created where missing.
    rows, columns
        Positions in the table.
    values
        ``(len(rows), len(columns))``.
    fresh
        Forget what the layer held before.
    """
    check_key(layer)
    # NaN and not 0, so that a spot without a prediction cannot be taken for one that expresses nothing
    if fresh or layer not in table.layers:
        check_layer_size(table.n_obs, table.n_vars)
        table.layers[layer] = np.full(table.shape, np.nan, dtype=np.float32)
    elif not _is_dense(table.layers[layer]):
        table.layers[layer] = get_dense_layer(table, layer).astype(np.float32)
    table.layers[layer][np.ix_(rows, columns)] = values


def _is_dense(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.float32


def record(table: AnnData, key: str, params: Mapping[str, Any]) -> None:
    """Remember how ``key`` was made, in types that a store can hold."""
    made = {**_storable(params), "version": version("spatialhist")}
    table.uns.setdefault(_keys.ROOT, {})[key] = as_record(made)


def recorded(table: AnnData, key: str) -> dict[str, Any]:
    """How ``key`` was made; empty if nothing was recorded."""
    entry = table.uns.get(_keys.ROOT, {}).get(key, {})
    # a text where spatialdata or anndata has read the store
    return of_stored(entry) if isinstance(entry, str) else entry


def carry_records(table: AnnData, other: AnnData, called: Mapping[str, str], steps: Sequence[str]) -> None:
    """Remember of another table of the same slides what was done to their images and spots before.

    Parameters
    ----------
    table
        The table.
    other
        What it was made from.
    called
        Name in the table of each slide of the other one.
    steps
        Those that hold for the table as they are.
    """
    known = {step: copy.deepcopy(recorded(other, step)) for step in steps if recorded(other, step)}
    table.uns.setdefault(_keys.ROOT, {}).update(known)
    if stain := copy.deepcopy(recorded(other, "stain")):
        plain = {_keys.sanitize(slide): _keys.sanitize(name) for slide, name in called.items()}
        stain["slides"] = {plain[s]: entry for s, entry in stain.get("slides", {}).items() if s in plain}
        table.uns.setdefault(_keys.ROOT, {})["stain"] = stain


def _storable(value: Any) -> Any:
    """Turn tuples into lists and numpy scalars into Python ones, and leave out what is None."""
    if isinstance(value, Mapping):
        return {_keys.sanitize(str(k)): _storable(v) for k, v in value.items() if v is not None}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or isinstance(value, str):
        return value
    if isinstance(value, Sequence | set | frozenset):
        items = [_storable(v) for v in value]
        # zarr stores a list as an array, which has one type
        same = all(isinstance(v, str) for v in items) or all(isinstance(v, int | float) for v in items)
        return items if same else [str(v) for v in items]
    return value if isinstance(value, bool | int | float) else str(value)


def with_genes(table: AnnData, genes: Sequence[str]) -> AnnData:
    """Return the table with further genes that no slide measured: 0 in ``X``, NaN in dense layers and ``varm``.

    The table itself is returned where it holds them all. ``raw`` stays as it is.
    """
    import anndata as ad
    import pandas as pd
    from scipy.sparse import csr_matrix, hstack, issparse

    new = [g for g in genes if g not in table.var_names]
    if not new:
        return table

    def widen(values: Any, fill: float) -> Any:
        if issparse(values):
            return hstack([values, csr_matrix((table.n_obs, len(new)), dtype=values.dtype)], format="csr")
        # whole numbers have no NaN
        kind = np.result_type(values, np.float32) if np.isnan(fill) else values.dtype
        return np.hstack([values, np.full((table.n_obs, len(new)), fill, dtype=kind)])

    names = [*table.var_names, *new]
    slides = table.obs[_keys.REGION].astype(str).unique()
    before = table.varm.get(_keys.MEASURED, pd.DataFrame(True, index=table.var_names, columns=slides))
    flags = pd.concat([before, pd.DataFrame(False, index=new, columns=before.columns)])
    wider = ad.AnnData(
        None if table.X is None else widen(get_layer(table, None), 0),
        obs=table.obs,
        var=table.var.reindex(names),
        uns=table.uns,
        obsm=dict(table.obsm),
        obsp=dict(table.obsp),
        varm={key: _taller(values, names) for key, values in table.varm.items()} | {_keys.MEASURED: flags.astype(bool)},
        varp={key: _larger(values, len(new)) for key, values in table.varp.items()},
        layers={key: widen(get_layer(table, key), np.nan) for key in layer_names(table)},
    )
    if table.raw is not None:
        wider.raw = table.raw.to_adata()
    return wider


def _taller(values: Any, names: list[str]) -> Any:
    """An entry of ``varm`` with rows of NaN for further genes."""
    if hasattr(values, "reindex"):
        return values.reindex(names)
    values = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    missing = np.full((len(names) - len(values), *values.shape[1:]), np.nan)
    return np.concatenate([values, missing]).astype(np.result_type(values.dtype, np.float32))


def _larger(values: Any, n: int) -> Any:
    """An entry of ``varp``, sparse, with ``n`` further genes that are paired with none."""
    from scipy.sparse import block_diag, csr_matrix

    return block_diag([values, csr_matrix((n, n))], format="csr")


def gene_positions(table: AnnData, genes: Sequence[str]) -> np.ndarray:
    """Positions of named genes in the table.

    Raises
    ------
    KeyError
        If some are not there.
    ValueError
        If a gene is named twice.
    """
    names = [genes] if isinstance(genes, str) else list(genes)
    if len(set(names)) != len(names):
        raise ValueError(f"genes are named twice: {sorted({g for g in names if names.count(g) > 1})[:5]}")
    position = table.var_names.get_indexer(names)
    if (position < 0).any():
        missing = [g for g, p in zip(names, position, strict=True) if p < 0]
        raise KeyError(f"{len(missing)} genes are not in the table, e.g. {missing[:5]}")
    return position


def dense_columns(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Take a few columns of a sparse or dense matrix as float32 ``(rows, columns)``."""
    # rows first: a CSR matrix takes them without looking at the others
    part = matrix[rows][:, columns]
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float32)


def record_slides(table: AnnData, key: str, per_slide: Mapping[str, Mapping[str, Any]]) -> None:
    """Remember how ``key`` was made on some slides; what is known of the others stays."""
    known = recorded(table, key).get("slides", {})
    record(table, key, {"slides": {**known, **{_keys.sanitize(s): p for s, p in per_slide.items()}}})
