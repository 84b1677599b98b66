"""Transcripts of a table of any size, part by part."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist._runtime.files import UNDECODABLE, intact
from spatialhist.io._xenium_files.features import GENE, GENE_CATEGORIES, OTHER, categories

if TYPE_CHECKING:
    import pyarrow as pa

NAME, QUALITY, IS_GENE, CATEGORY = "feature_name", "qv", "is_gene", "codeword_category"
NEEDED = (NAME, "x_location", "y_location", QUALITY)
PART = 1 << 19
"""Transcripts that are in memory at once."""
BLOCK_BYTES = 1 << 25
"""Of a CSV, about as many transcripts."""
MAX_HEADER = 1 << 16
DAMAGED = "{path} is no table of transcripts, or it is damaged: {error}. Copy it again from the Xenium output"


@dataclass
class Part:
    """Some transcripts.

    Attributes
    ----------
    xy
        Positions ``(n, 2)`` in micrometers.
    feature
        Number of the feature of each in ``Features.names``.
    kind
        ``"gene"``, or what else it is, as objects.
    quality
        Phred-scaled quality of each.
    """

    xy: np.ndarray
    feature: np.ndarray
    kind: pd.Categorical
    quality: np.ndarray


@dataclass
class Features:
    """Numbers of features, in the order in which they are met."""

    names: list[str] = field(default_factory=list)
    _number: dict[str, int] = field(default_factory=dict)

    def numbers(self, names: list[str]) -> np.ndarray:
        """Numbers of names, new ones among them."""
        for name in names:
            if name not in self._number:
                self._number[name] = len(self.names)
                self.names.append(name)
        return np.array([self._number[name] for name in names], dtype=np.int64)


def read_parts(path: Path, features: Features) -> Iterator[Part]:
    """Read transcripts from Parquet or CSV; what is met for the first time is added to the features.

    Raises
    ------
    ValueError
        If the file is damaged, lacks a column, or has gaps.
    """
    batches = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    for batch in batches:
        if len(batch):
            yield _part(batch, path, features)


def _parquet(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with intact(path, DAMAGED, errors=UNDECODABLE), pq.ParquetFile(path) as file:
        known = file.schema_arrow.names
    columns = _columns(known, path)
    words = [name for name in (NAME, CATEGORY) if name in columns]
    # opened again: which columns come as codes has to be said before it is known which there are
    with intact(path, DAMAGED, errors=UNDECODABLE), pq.ParquetFile(path, read_dictionary=words) as file:
        yield from file.iter_batches(PART, columns=columns)


def _csv(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as csv

    with intact(path, DAMAGED, errors=UNDECODABLE):
        columns = _header(path)
    wanted = _columns(columns, path)
    # names as codes: a text for each transcript would take many times the memory
    words = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(NEEDED, pa.float64()) | dict.fromkeys((NAME, IS_GENE, CATEGORY), words)
    convert = csv.ConvertOptions(include_columns=wanted, column_types={c: types[c] for c in wanted})
    packed = "gzip" if path.suffix == ".gz" else None
    with intact(path, DAMAGED, errors=UNDECODABLE), pa.input_stream(path, compression=packed) as stream:
        yield from csv.open_csv(stream, csv.ReadOptions(block_size=BLOCK_BYTES), convert_options=convert)


def _header(path: Path) -> list[str]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        # bounded: a file of one line would be read as a whole
        line = file.readline(MAX_HEADER).decode("utf-8-sig")
    return [name.strip().strip('"') for name in line.split(",")]


def _columns(known: list[str], path: Path) -> list[str]:
    missing = [name for name in NEEDED if name not in known]
    if missing:
        raise ValueError(f"{path} lacks columns {missing}; it has {known[:20]}")
    return [*NEEDED, *(name for name in (IS_GENE, CATEGORY) if name in known)]


def _part(batch: pa.RecordBatch, path: Path, features: Features) -> Part:
    for name in batch.schema.names:
        gaps = batch.column(name).null_count
        if gaps:
            raise ValueError(f"{path} has no {name} for {gaps} of {len(batch)} transcripts: {_AGAIN}")
    with intact(path, DAMAGED, errors=UNDECODABLE):
        # in a damaged file codes may point outside their dictionary
        batch.validate(full=True)
    codes, names = _words(batch.column(NAME))
    x, y, quality = (_numbers(batch, name, path) for name in NEEDED[1:])
    return Part(np.column_stack([x, y]), features.numbers(names)[codes], _kinds(batch, codes, names), quality)


_AGAIN = "copy it again from the Xenium output"


def _numbers(batch: pa.RecordBatch, name: str, path: Path) -> np.ndarray:
    try:
        values = batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} of {path} holds no numbers: {error}") from error
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"column {name!r} of {path} is not finite for {bad} of {len(batch)} transcripts: {_AGAIN}")
    return values


def _words(column: Any) -> tuple[np.ndarray, list[str]]:
    """Codes and what they stand for; the first version wrote text as bytes."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    values = [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in column.dictionary.to_pylist()]
    return column.indices.to_numpy(zero_copy_only=False).astype(np.int64), values


def _kinds(batch: pa.RecordBatch, codes: np.ndarray, names: list[str]) -> pd.Categorical:
    """What each transcript is: by the columns that say it, else by the name of its feature."""
    known = batch.schema.names
    codes, kinds = _words(batch.column(CATEGORY)) if CATEGORY in known else (codes, categories(names))
    kinds = np.array([GENE if kind in GENE_CATEGORIES else kind for kind in kinds], dtype=object)
    if IS_GENE in known:
        flags, values = _words(batch.column(IS_GENE))
        is_gene = np.array([value.lower() in ("true", "1") for value in values], dtype=bool)[flags]
        # the flag decides: what it does not call a gene becomes another control, whatever its name says
        codes = np.where(is_gene, len(kinds), codes)
        kinds = np.array([*(OTHER if kind == GENE else kind for kind in kinds), GENE], dtype=object)
    unique, at = np.unique(kinds.astype(str), return_inverse=True)
    return pd.Categorical.from_codes(at[codes], categories=unique)
