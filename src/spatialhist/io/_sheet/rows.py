"""Rows of a sample sheet: what each asks for, checked before anything is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.files import intact
from spatialhist.io._assembly.slide import check_slide_id, sample_id
from spatialhist.io._formats.format import Format, tell

if TYPE_CHECKING:
    from spatialdata import SpatialData

PATH, PLATFORM, SLIDE, POOL = "path", "platform", "slide", "pool_um"
FILES = ("image", "alignment")
"""Columns that hold paths beside ``path``."""
NUMBERS: dict[str, Callable[[str], Any]] = {"mpp": float, "min_qv": float, POOL: float}
CELLS: dict[str, Callable[[str], Any]] = {"spots": lambda text: ("um", float(text)), "bin_um": int}
"""Columns that hold a length in micrometers, or ``cells``."""
KNOWN = (PATH, PLATFORM, SLIDE, _keys.PATIENT, *FILES, *NUMBERS, *CELLS)
"""Columns with a meaning of their own; all others are kept in ``obs``."""


@dataclass(frozen=True)
class Row:
    """One sample.

    Attributes
    ----------
    where
        Sheet and line, for messages.
    format
        Of what lies at the path.
    path
        What is read.
    options
        What its reader is given; the slide among them.
    obs
        Columns of ``obs`` and their value.
    pool_um
        Size of the spots that bins or cells are pooled to; None where they are not.
    """

    where: str
    format: Format
    path: Path
    options: dict[str, Any]
    obs: dict[str, str] = field(default_factory=dict)
    pool_um: float | None = None


def read_sheet(path: Path) -> pd.DataFrame:
    """Read a sheet as text, by line; empty cells are missing.

    Raises
    ------
    ValueError
        If it is no table, or has no rows or no column ``path``.
    """
    says = "{path} cannot be read as a sample sheet: {error}; save it as CSV in UTF-8"
    with intact(path, says, errors=(ValueError,)):
        sheet = pd.read_csv(path, dtype=str, sep="\t" if path.suffix.lower() == ".tsv" else ",", skipinitialspace=True)
    # pandas takes the first of too many cells for the index
    if not isinstance(sheet.index, pd.RangeIndex):
        raise ValueError(
            f"{path} cannot be read as a sample sheet: rows have more cells than the header; quote cells with commas"
        )
    sheet.columns = sheet.columns.str.strip()
    sheet.index = _line_numbers(path, len(sheet))
    # rows keep their numbers when empty ones go, so that messages name the right line
    sheet = sheet.apply(lambda column: column.str.strip()).replace("", pd.NA).dropna(how="all")
    if PATH not in sheet:
        raise ValueError(f"{path} is no sample sheet: it lacks the column 'path'; it has {list(sheet)}")
    if sheet.empty:
        raise ValueError(f"{path} has no rows")
    if again := [name for name in KNOWN if f"{name}.1" in sheet]:
        raise ValueError(f"{path} has the column {again[0]!r} twice: name one of them otherwise, or leave it out")
    if odd := [name for name in sheet if _keys.sanitize(name) != name or name.startswith("__")]:
        better = _keys.sanitize(odd[0]).strip("_.") or "column"
        raise ValueError(f"{path}, column {odd[0]!r} cannot be kept in obs under this name: call it {better!r}")
    return sheet


def _line_numbers(path: Path, n_rows: int) -> list[int]:
    """Line of each row; pandas does not say how many empty lines it left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    filled = [number for number, line in enumerate(lines, start=1) if line]
    # cells may hold line breaks: rows are then counted
    return filled[1:] if len(filled) == n_rows + 1 else list(range(2, n_rows + 2))


def check_rows(path: Path, sheet: pd.DataFrame, formats: Sequence[Format]) -> list[Row]:
    """Check every row of a sheet.

    Parameters
    ----------
    path
        The sheet; paths in it are of its folder where they are relative.
    sheet
        Its cells; the index is the line of each row.
    formats
        Those that are told apart.

    Raises
    ------
    FileNotFoundError
        If a path of a row is not there.
    ValueError
        If a cell cannot be used; the message names its line and column.
    """
    rows = [_row(path, int(line), cells, formats) for line, cells in sheet.iterrows()]
    _check_slides(rows)
    return rows


def _row(sheet: Path, line: int, cells: pd.Series, formats: Sequence[Format]) -> Row:
    where = f"{sheet}, line {line}"
    given = {str(column): str(value) for column, value in cells.items() if not pd.isna(value)}
    if PATH not in given:
        raise ValueError(f"{where}, column 'path' is empty")
    found = _existing(sheet, where, PATH, given[PATH])
    of = _format(where, given.get(PLATFORM), found, formats)
    # asked of the reader itself, so that a new option needs no entry here
    takes = {*signature(of.reader).parameters, *of.takes}
    asked = {c: _value(sheet, where, c, given[c]) for c in KNOWN if c in given and c not in (PATH, PLATFORM, SLIDE)}
    pool_um = asked.pop(POOL, None)
    if pool_um is not None:
        check_pool(of, pool_um, asked, f"{where}, column {POOL!r}")
    noted = {c: asked.pop(c) for c in (_keys.PATIENT,) if c in asked and c not in takes}
    if unused := [c for c in asked if c not in takes]:
        raise ValueError(f"{where}, column {unused[0]!r}: nothing to be said of {of.name!r}; leave the cell empty")
    # a file is called after its name without the ending, a folder may have dots in it
    asked[SLIDE] = given.get(SLIDE) or sample_id(found if found.is_dir() else found.with_suffix(""))
    _check_id(where, asked[SLIDE])
    return Row(where, of, found, asked, {**noted, **{c: v for c, v in given.items() if c not in KNOWN}}, pool_um)


def check_pool(of: Format, pool_um: float, asked: Mapping[str, Any], where: str) -> None:
    """Refuse to pool what is no bins or cells.

    Raises
    ------
    ValueError
        Naming what is.
    """
    if not 0 < pool_um < math.inf:
        raise ValueError(f"{where} is {pool_um:g}: it must be a size in micrometers above 0")
    if of.to_pool is None:
        raise ValueError(f"{where}: {of.name!r} has no bins or cells to pool, which visium_hd, xenium and anndata have")
    other = next((c for c, v in of.to_pool.items() if asked.get(c) not in (None, v)), None)
    if other is not None:
        raise ValueError(
            f"{where} is for {other}='{of.to_pool[other]}', not for {other}={asked[other]!r}: give one of them"
        )


def _existing(sheet: Path, where: str, column: str, text: str) -> Path:
    """A path of a cell; a sheet is written by who runs it, and names folders anywhere."""
    try:
        found = sheet.parent / Path(text).expanduser()
        there = found.exists()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{where}, column {column!r} holds {text[:80]!r}, which is no path: {error}") from error
    if not there:
        raise FileNotFoundError(f"{where}, column {column!r}: {found} does not exist")
    return found


def _format(where: str, said: str | None, found: Path, formats: Sequence[Format]) -> Format:
    platforms = {one.name: one for one in formats if one.one_slide}
    if said is not None:
        platform = said.lower().replace(" ", "_").replace("-", "_")
        if platform not in platforms:
            raise ValueError(
                f"{where}, column 'platform' holds {said!r}; it must be one of {', '.join(platforms)}, or empty"
            )
        return platforms[platform]
    try:
        told = tell(found, formats)
    except ValueError as error:
        raise ValueError(f"{where}, column 'path': {error}") from error
    if told.name not in platforms:
        raise ValueError(
            f"{where}, column 'path': {found} may hold several slides: read it with sh.io.read(path), and join it with "
            "sh.io.concat"
        )
    return told


def _value(sheet: Path, where: str, column: str, text: str) -> Any:
    if column in FILES:
        return _existing(sheet, where, column, text)
    if column in CELLS and text == "cells":
        return text
    convert = {**NUMBERS, **CELLS}.get(column, str)
    try:
        return convert(text)
    except ValueError:
        wanted = "a number or 'cells'" if column in CELLS else "a number"
        raise ValueError(f"{where}, column {column!r} holds {text!r}, which is not {wanted}") from None


def _check_id(where: str, slide: str) -> None:
    try:
        check_slide_id(slide)
    except ValueError as error:
        raise ValueError(f"{where}, column 'slide': {error}") from error


def _check_slides(rows: Sequence[Row]) -> None:
    """Slides are told apart by their ids."""
    first: dict[str, str] = {}
    for row in rows:
        slide = row.options[SLIDE]
        if slide in first:
            raise ValueError(f"{row.where}, column 'slide': {slide!r} is that of {first[slide]}: give each its own")
        first[slide] = row.where


def choose(path: Path, rows: Sequence[Row], slides: str | Sequence[str] | None) -> list[Row]:
    """Rows of some slides, in their order.

    Raises
    ------
    KeyError
        If a slide is not in the sheet.
    """
    by_slide = {row.options[SLIDE]: row for row in rows}
    names = list(by_slide) if slides is None else [slides] if isinstance(slides, str) else list(slides)
    if unknown := [s for s in names if s not in by_slide]:
        raise KeyError(f"no slides {unknown} in {path}; it has {list(by_slide)}")
    return [by_slide[s] for s in names]


def read_row(row: Row, *, lazy: bool) -> SpatialData:
    """Read the slide of a row; errors name the row. Where `lazy`, pixels stay in their file until they are written."""
    try:
        if row.pool_um is None:
            part = row.format.read_part(row.path, lazy=lazy, **row.options)
        else:
            part = row.format.read_pooled(row.path, row.pool_um, lazy=lazy, **row.options)
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        # args, since the text of a KeyError is in quotes
        raise type(error)(f"{row.where}: {error.args[0] if error.args else error}") from error
    for column, value in row.obs.items() if _keys.TABLE in part.tables else ():
        obs = part[_keys.TABLE].obs
        if column not in obs:  # what the reader has found stays
            obs[column] = pd.Categorical([value] * len(obs))
    return part
