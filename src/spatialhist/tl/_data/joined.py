"""Predictions from elsewhere, joined to the spots and genes of a table by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.values import as_ids, as_matrix

if TYPE_CHECKING:
    from anndata import AnnData

SLIDE_COLUMNS = ("slide", "region", "slide_id", "library_id")
"""Where predictions of several slides may say which slide a spot is of, the first that is there."""
SHOWN = 3
"""Names that a message shows."""


@dataclass(frozen=True)
class Joined:
    """Predictions laid out as the table that they were joined to.

    Attributes
    ----------
    values
        ``(spots, genes)`` float32, NaN where nothing was predicted.
    notes
        What was not found, counted.
    """

    values: np.ndarray
    notes: list[str]


def join(name: str, source: Any, table: AnnData, rows: Mapping[str, np.ndarray]) -> Joined:
    """Join predictions to a table: spots by barcode, genes by name.

    Parameters
    ----------
    name
        Of the predictions.
    source
        Path of a CSV, TSV, Parquet or h5ad file, or a table: spots by their barcodes x genes by their names. Spots of
        several slides are named as in the table (``SLIDE_BARCODE``), or a column says the slide. An array has the shape
        of the table.
    table
        What is measured.
    rows
        Rows of the table that can be scored, per slide.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If it is none of these.
    ValueError
        If no spot or no gene is found, names are ambiguous, or values are no numbers.
    """
    if isinstance(source, np.ndarray):
        return Joined(_shaped(name, source, table), [])
    frame, slide = _as_frame(name, source)
    genes = [g for g in frame.columns if g in table.var_names]
    found = _rows_of(name, frame, slide, table)
    if not genes or not (found >= 0).any():
        _refuse_strangers(name, frame, slide, table, genes=bool(genes))
    _refuse_twice(name, frame.columns[frame.columns.isin(genes)], "gene")
    _refuse_twice(name, _spot_names(frame, slide)[found >= 0], "spot")
    values = np.full(table.shape, np.nan, dtype=np.float32)
    picked = as_matrix(frame.loc[:, genes].to_numpy()[found >= 0], f"what {name!r} predicts")
    values[np.ix_(found[found >= 0], table.var_names.get_indexer(genes))] = picked
    return Joined(values, [f"{name}: {told}" for told in _gaps(frame, genes, found, values, table, rows)])


def _shaped(name: str, array: np.ndarray, table: AnnData) -> np.ndarray:
    if array.shape != table.shape:
        raise ValueError(
            f"{name!r} is an array of shape {array.shape}, the table has {table.shape} (spots, genes): pass a DataFrame or "
            "AnnData, which is joined by barcodes and names of genes"
        )
    return as_matrix(array, f"what {name!r} predicts").astype(np.float32)


def _as_frame(name: str, source: Any) -> tuple[pd.DataFrame, pd.Series | None]:
    """Spots x genes, and the slide of each spot where that is said."""
    if isinstance(source, str | Path):
        source = _read(name, Path(source))
    if isinstance(source, pd.DataFrame):
        about, frame = source, source
    elif hasattr(source, "obs_names") and hasattr(source, "var_names"):
        values = as_matrix(source.X, f"X of {name!r}")
        values = values if isinstance(values, np.ndarray) else values.toarray()
        about, frame = source.obs, pd.DataFrame(values, source.obs_names, source.var_names)
    else:
        raise TypeError(
            f"{name!r} is of type {type(source).__name__}: pass the name of a layer, a path (CSV, TSV, Parquet, h5ad), a "
            "DataFrame or an AnnData"
        )
    column = next((c for c in SLIDE_COLUMNS if c in about), None)
    # a column that names slides is no gene
    frame = frame.drop(columns=[c for c in SLIDE_COLUMNS if c in frame])
    frame = frame.set_axis(as_ids(frame.index).astype(str), axis=0).set_axis(frame.columns.astype(str), axis=1)
    return frame, None if column is None else pd.Series(about[column].astype(str).to_numpy(), frame.index)


def _read(name: str, path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{name!r}: there is neither a layer nor a file {str(path)!r}")
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind == "h5ad":
        import anndata as ad

        return ad.read_h5ad(path)
    if kind == "parquet":
        return pd.read_parquet(path)
    separator = "\t" if kind in ("tsv", "txt") else ","
    # barcodes that look like numbers stay text, and no digit of a prediction is lost
    first = pd.read_csv(path, sep=separator, nrows=0).columns[0]
    return pd.read_csv(path, sep=separator, dtype={first: str}, float_precision="round_trip").set_index(first)


def _rows_of(name: str, frame: pd.DataFrame, slide: pd.Series | None, table: AnnData) -> np.ndarray:
    """Row of the table per spot, -1 where none has its name; whichever way to name spots finds the most."""
    best, asked = np.full(len(frame), -1), _spot_names(frame, slide)
    for names in _namings(table, by_slide=slide is not None):
        shared = names[names.isin(asked)]
        if len(shared) <= (best >= 0).sum():
            continue
        if shared.has_duplicates:
            twice = shared[shared.duplicated()].unique()[:SHOWN].tolist()
            raise ValueError(
                f"{name!r} names spots {twice}, which lie on several slides: add a column {SLIDE_COLUMNS[0]!r}, or name "
                f"spots as the table does, e.g. {table.obs_names[0]!r}"
            )
        best = _positions(names, asked)
    return best


def _positions(names: pd.Index, asked: pd.Index) -> np.ndarray:
    known = names.isin(asked)
    return pd.Series(np.flatnonzero(known), names[known]).reindex(asked, fill_value=-1).to_numpy()


def _spot_names(frame: pd.DataFrame, slide: pd.Series | None) -> pd.Index:
    return frame.index if slide is None else pd.Index(slide.to_numpy(dtype=object) + "_" + frame.index)


def _namings(table: AnnData, *, by_slide: bool) -> Sequence[pd.Index]:
    """Ways to name the spots of a table: as it does, by slide and id, by id, by barcode."""
    slides = table.obs[_keys.REGION].astype(str).to_numpy(dtype=object)
    ids = as_ids(table.obs[_keys.INSTANCE]).astype(str).to_numpy(dtype=object)
    pairs = zip(table.obs_names, slides, strict=True)
    barcodes = np.array([full.removeprefix(f"{s}_") for full, s in pairs], dtype=object)
    with_slide = [table.obs_names.astype(str), pd.Index(slides + "_" + ids), pd.Index(slides + "_" + barcodes)]
    return with_slide if by_slide else [*with_slide, pd.Index(barcodes), pd.Index(ids)]


def _refuse_strangers(name: str, frame: pd.DataFrame, slide: pd.Series | None, table: AnnData, *, genes: bool) -> None:
    """Say which names do not fit, and whether the table lies on its side."""
    if frame.index.isin(table.var_names).any() and not genes:
        raise ValueError(f"{name!r} has genes in rows: transpose it, so that spots are rows and genes are columns")
    what, asked, known = (
        ("spots", _spot_names(frame, slide), table.obs_names) if genes else ("genes", frame.columns, table.var_names)
    )
    raise ValueError(
        f"none of the {len(asked)} {what} of {name!r} is in the table: it has {asked[:SHOWN].tolist()}, the table "
        f"{known[:SHOWN].tolist()}; give them the same names"
    )


def _refuse_twice(name: str, names: pd.Index, what: str) -> None:
    if names.has_duplicates:
        raise ValueError(f"{name!r} has {what} {names[names.duplicated()][0]!r} twice: keep one of them")


def _gaps(
    frame: pd.DataFrame,
    genes: list[str],
    found: np.ndarray,
    values: np.ndarray,
    table: AnnData,
    rows: Mapping[str, np.ndarray],
) -> list[str]:
    """What was not found, in words."""
    told = []
    if unknown := int((found < 0).sum()):
        told.append(f"{unknown:,} of its {len(frame):,} barcodes are those of no spot of the table")
    for slide, here in rows.items():
        missing = int((~np.isfinite(values[here]).any(axis=1)).sum())
        if missing:
            told.append(f"no prediction of {missing:,} of {len(here):,} spots of slide {slide!r}")
    if strangers := frame.shape[1] - len(genes):
        told.append(f"{strangers:,} of its {frame.shape[1]:,} columns are no genes of the table")
    return told
