"""Gzipped tables of spots x genes, whose first row names genes and whose first column names spots."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

MAX_TABLE_BYTES = 4_000_000_000
"""Tables that unpack to more are refused; 100,000 spots x 20,000 genes make as much."""
_BLOCK_BYTES = 16_000_000
"""Lines that are parsed at a time."""
_NO_IDS = {b"", b"#N/A", b"#N/A N/A", b"#NA", b"<NA>", b"N/A", b"NA", b"NULL", b"NaN", b"None", b"n/a", b"nan", b"null"}
"""What pandas takes for a missing id, as it does ``-nan`` and ``1.#IND``, which are no names of spots."""

Table = tuple[pd.Index, sparse.csr_matrix, list[str]]


def read_matrix(path: Path) -> Table:
    """Read spot ids, spots x genes, and genes; the first column may have a name or none.

    The header is read apart, because pandas renames what occurs twice.

    Raises
    ------
    ValueError
        If the file holds no such table, or more than :data:`MAX_TABLE_BYTES`.
    """
    try:
        header, ids, values = _read_plain(path) or _read_any(path)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as a gzipped table of spots x genes: {error}") from error
    if not values.shape[1] or len(header) - values.shape[1] not in (0, 1):
        raise ValueError(f"{path} names {len(header)} columns but has {values.shape[1]} beside the spot ids")
    return ids, values, header[-values.shape[1] :]


def _read_any(path: Path) -> tuple[list[str], pd.Index, sparse.csr_matrix]:
    with _Bounded(path) as file:
        header = _names(file.readline())
    with _Bounded(path) as file:
        # R writes no name above the row names, so that the header may be one cell short; read without it
        frame = pd.read_csv(file, sep="\t", header=None, skiprows=1, dtype={0: str}, index_col=0, low_memory=False)
    return header, frame.index, sparse.csr_matrix(frame.to_numpy(dtype=np.float32))


def _names(line: bytes) -> list[str]:
    return line.decode("utf-8").rstrip("\r\n").split("\t")


class _Bounded(gzip.GzipFile):
    """A gzipped file that must not unpack to more than :data:`MAX_TABLE_BYTES`."""

    def read(self, size: int | None = -1) -> bytes:
        return self._counted(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._counted(super().read1(size))

    def readline(self, size: int | None = -1) -> bytes:
        # bounded: a file of one line would be in memory before it is counted
        return self._counted(super().readline(MAX_TABLE_BYTES + 1 if size in (-1, None) else size))

    def _counted(self, data: bytes) -> bytes:
        if self.tell() > MAX_TABLE_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_TABLE_BYTES:,} bytes")
        return data


def _read_plain(path: Path) -> tuple[list[str], pd.Index, sparse.csr_matrix] | None:
    """Read a table of numbers alone, an eighth of what pandas takes; None for any other, of which pandas says what is wrong."""
    ids: list[str] = []
    blocks = []
    with _Bounded(path) as file:
        first = file.readline()
        width = None
        while lines := file.readlines(_BLOCK_BYTES):
            plain = (line.removesuffix(b"\n").removesuffix(b"\r") for line in lines)
            cells = [line.partition(b"\t") for line in plain if line]
            if not all(tab for _, tab, _ in cells):
                return None
            width = width or (cells[0][2].count(b"\t") + 1 if cells else None)
            values = _numbers([rest for _, _, rest in cells], width) if width else None
            names = [name for name, _, _ in cells]
            if values is None or _is_odd(b"".join(names)) or not _NO_IDS.isdisjoint(names):
                return None
            try:
                ids += [name.decode("utf-8") for name in names]
            except UnicodeError:
                return None
            blocks.append(values)
    if not blocks or _is_odd(first.rstrip(b"\r\n")):
        return None
    return _names(first), pd.Index(ids, dtype=object), sparse.vstack(blocks, format="csr")


def _is_odd(text: bytes) -> bool:
    """Whether there are quotes, or ends of lines within a line."""
    return any(sign in text for sign in (b'"', b"\r", b"\0"))


def _numbers(rows: list[bytes], width: int) -> sparse.csr_matrix | None:
    """Parse rows of numbers; None where they are of other lengths, or hold anything else.

    Numbers are parsed as one column, since pyarrow takes long for each of thousands of columns.
    """
    import pyarrow as pa
    from pyarrow import csv

    text = b"".join(row.replace(b"\t", b"\n") + b"\n" for row in rows)
    if _is_odd(text) or any(row.count(b"\t") != width - 1 for row in rows):
        return None
    try:
        column = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(column_names=["value"], use_threads=False),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(column_types={"value": pa.float64()}),
        ).column(0)
    except pa.ArrowInvalid:
        return None
    if len(column) != len(rows) * width:
        return None
    return sparse.csr_matrix(column.to_numpy().reshape(len(rows), width).astype(np.float32))
