"""How large a pixel is by what programs of others leave in an object: metadata, names, columns and coordinate systems."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.coordinates import is_placed, length_factor, matrix, transformations
from spatialhist._sdata.geometry import areas_of_spots
from spatialhist._sdata.lattice import array_pitch, lattice_pitch
from spatialhist._sdata.own_shapes import spots_of
from spatialhist._sdata.values import as_numbers, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData
    from spatialdata import SpatialData

BINS_HD = re.compile(r"(?:^|_)square_(\d{3})um")
"""How Space Ranger, and readers after it, name bins of Visium HD: their side, and distance, in micrometers."""
VISIUM_PITCH_UM = 100.0
"""Distance of the centers of neighboring Visium spots."""
READER = "spatialdata_io_reader"
"""Where ``sdata.attrs`` names the reader of ``spatialdata_io`` that made an object."""
MICROMETERS = re.compile(r"(microns|micrometers|um)(-.*)?")
"""Names of coordinate systems, as sopa and readers of MERSCOPE call them, and ``spatialdata.concatenate`` after them."""
XENIUM_COLUMNS = {"cell_id", "cell_area", "transcript_counts"}
"""Of the cells of every Xenium output; areas are in square micrometers."""
XENIUM_PIXEL_UM = 0.2125
"""Size of a pixel of the instrument."""
SAME = 0.05
"""Share by which sizes of a pixel may differ, as outlines of cells are simplified."""
AGREE = 1e-3
"""Share by which elements in micrometers may differ in the size of a pixel."""
SLIDE_PROPERTIES = "slide_properties"
"""Where ``sdata.attrs`` of LazySlide says what the scanner wrote."""


def known_mpp(sdata: SpatialData, table: AnnData, slide: str, pitch: float | None) -> float | None:
    """Micrometers per pixel of a slide, where something says them."""
    said = _of_space_ranger(sdata, table, slide, pitch) or _of_xenium(sdata, table, slide)
    return said or _of_micrometers(sdata, slide) or _of_lazyslide(sdata, slide)


def _of_space_ranger(sdata: SpatialData, table: AnnData, slide: str, pitch: float | None) -> float | None:
    """Where Space Ranger says them, or wrote a slide of Visium, whose spots are 100 um apart."""
    entry = table.uns.get(_keys.SPATIAL, {}).get(slide, {})
    said = entry.get("scalefactors", {}).get("microns_per_pixel")
    if said is not None:
        return float(said)
    if pitch and (bins := BINS_HD.search(slide)):
        return float(bins[1]) / pitch
    visium = sdata.attrs.get(READER) == "visium" or is_visium_chemistry(entry)
    return VISIUM_PITCH_UM / pitch if visium and pitch else None


def is_visium_chemistry(entry: Mapping[str, Any]) -> bool | None:
    """Whether the metadata of Space Ranger names a chemistry of Visium and not of Visium HD; None where it names none."""
    # Space Ranger 1 wrote an array of bytes
    found = np.ravel(entry.get("metadata", {}).get("chemistry_description", ""))
    words = word(found[0]).upper().split() if len(found) else []
    return "HD" not in words if words else None


def spot_pitch(obs: pd.DataFrame, xy: np.ndarray) -> float | None:
    """Distance of neighboring spots: by their rows and columns where they are numbered, else by the nearest."""
    numbered = None
    if {"array_row", "array_col"} <= set(obs):
        numbered = array_pitch(np.column_stack([as_numbers(obs["array_row"]), as_numbers(obs["array_col"])]), xy)
    return numbered or lattice_pitch(xy)


def _of_xenium(sdata: SpatialData, table: AnnData, slide: str) -> float | None:
    """By the areas of cells, as the reader's transformation, or the instrument, has it exactly."""
    obs = table.obs[(table.obs[_keys.REGION] == slide).to_numpy(dtype=bool)]
    if not set(obs) >= XENIUM_COLUMNS:
        return None
    found = _by_areas(obs, areas_of_spots(sdata, slide))
    # areas only tell which of the known sizes it is: outlines are too coarse to measure one
    exact = (1 / length_factor(matrix(spots_of(sdata, slide), slide)), XENIUM_PIXEL_UM)
    return next((size for size in exact if abs(size / found - 1) < SAME), None) if found else None


def _by_areas(obs: pd.DataFrame, areas: pd.Series) -> float | None:
    """Size of a pixel by what the cells of a table measure in square micrometers, and all cells in square pixels."""
    um, px = np.nanmedian(as_numbers(obs["cell_area"])), areas.median()
    return float(np.sqrt(um / px)) if um > 0 and px > 0 else None


def _of_micrometers(sdata: SpatialData, slide: str) -> float | None:
    """By a coordinate system in micrometers, of the spots or of elements that lie in another one with them."""
    spots = spots_of(sdata, slide)
    own = _um_per_pixel(spots, spots, slide)
    if own is not None:
        return own
    others = [*sdata.points.values(), *sdata.shapes.values(), *sdata.images.values(), *sdata.labels.values()]
    found = [um for element in others if (um := _um_per_pixel(element, spots, slide)) is not None]
    # elements that contradict each other tell nothing
    return found[0] if found and np.ptp(found) <= AGREE * found[0] else None


def _um_per_pixel(element: Any, spots: Any, slide: str) -> float | None:
    um = next((s for s in transformations(element) if MICROMETERS.fullmatch(s)), None)
    shared = [s for s in transformations(element) if is_placed(spots, s) and s != um]
    if um is None or not shared:
        return None
    to_um = matrix(element, um) @ np.linalg.inv(matrix(element, shared[0]))
    return length_factor(to_um @ matrix(spots, shared[0]) @ np.linalg.inv(matrix(spots, slide)))


def _of_lazyslide(sdata: SpatialData, slide: str) -> float | None:
    """Of the scan whose pixels are the coordinates of the tiles, if they lie on one of its size."""
    said, spots = sdata.attrs.get(SLIDE_PROPERTIES, {}), spots_of(sdata, slide)
    if not said.get("mpp") or len(said.get("shape", ())) != 2:
        return None
    height, width = said["shape"]
    left, low, right, high = spots.total_bounds
    # one pixel more, for rounding
    on_it = left >= 0 and low >= 0 and right <= width + 1 and high <= height + 1
    return float(said["mpp"]) / length_factor(matrix(spots, slide)) if on_it else None
