"""Outlines of the cells that Space Ranger segmented, as places and sizes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from spatialhist._runtime.files import UNDECODABLE, intact

CELL = "cell_id"
START = 64
"""Characters within which a JSON file shows that it is one."""


def read_cells(path: Path) -> pd.DataFrame:
    """Read centroids ``x``, ``y`` and ``area``, in pixels, by the barcode that the matrix gives a cell.

    Cells whose outline encloses nothing are left out.

    Raises
    ------
    ValueError
        If it is no such file, or names a cell twice.
    """
    import shapely
    import shapely.errors

    says = "{path} cannot be read as GeoJSON: {error}. Copy it again from the output"
    with intact(path, says, errors=(*UNDECODABLE, shapely.errors.ShapelyError)):
        ids, outlines = _read_outlines(path)
    center, area = shapely.centroid(outlines), shapely.area(outlines)
    frame = pd.DataFrame({"x": shapely.get_x(center), "y": shapely.get_y(center), "area": area}, index=ids)
    # an empty outline has no centroid, and a line no area
    frame = frame[np.isfinite(frame).all(axis=1) & (frame["area"] > 0)]
    if frame.index.has_duplicates:
        raise ValueError(f"{path} holds cells twice, e.g. {frame.index[frame.index.duplicated()][0]!r}")
    return frame


def _read_outlines(path: Path) -> tuple[pd.Index, np.ndarray]:
    import geopandas as gpd

    with path.open(encoding="utf-8") as file:
        # a file that is named so could be of any of the formats that the library knows, some of which name other files
        if not file.read(START).lstrip("\ufeff \t\r\n").startswith("{"):
            raise ValueError("it holds no JSON object")
    with warnings.catch_warnings():
        # what the library says of ids and outlines that it cannot read is told below, or refused
        warnings.simplefilter("ignore")
        frame = gpd.read_file(path, engine="pyogrio", columns=[CELL])
    numbers = pd.to_numeric(frame[CELL], errors="coerce") if CELL in frame else pd.Series(np.nan, frame.index)
    if not len(numbers):
        raise ValueError("it holds no outlines")
    if numbers.isna().any():
        raise ValueError(f"{numbers.isna().sum()} of its {len(numbers)} outlines have no number as properties.{CELL}")
    return pd.Index([f"cellid_{int(number):09d}-1" for number in numbers], dtype=object), frame.geometry.to_numpy()
