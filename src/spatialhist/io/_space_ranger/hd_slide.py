"""A slide of Visium HD without its images, from bins or cells."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.gene_names import IDS, unique_names
from spatialhist._sdata.lattice import array_pitch
from spatialhist.io._space_ranger.cells import read_cells
from spatialhist.io._space_ranger.counts import Counts, read_counts
from spatialhist.io._space_ranger.positions import read_positions
from spatialhist.io._space_ranger.scale_factors import BIN, MPP, ScaleFactors, read_scale_factors

if TYPE_CHECKING:
    from pathlib import Path

    from spatialdata import SpatialData

    from spatialhist.io._space_ranger.files import SpaceRangerFiles

BARCODE = re.compile(r"s_(\d+)um_\d+_\d+")
PIXEL, ARRAY = ["pxl_col_in_fullres", "pxl_row_in_fullres"], ["array_row", "array_col"]
CELL_AREA = "cell_area"
SAME_PITCH = 0.1
"""Share by which the distance of bins may differ from their side."""
MOST_COMPARED = 20_000
"""Bins that are enough to tell how far apart they are."""


def read_bins(files: SpaceRangerFiles, bin_um: int, slide: str, patient: str | None) -> SpatialData:
    """Read bins as circles that are as wide as a bin.

    Raises
    ------
    ValueError
        If a file is broken, or holds bins of another size.
    """
    factors = read_scale_factors(files.scale_factors)
    if factors.bin_um is not None and factors.bin_um != bin_um:
        raise ValueError(_other_size(files.scale_factors, bin_um, f"{factors.bin_um:g}"))
    counts = read_counts(files.counts)
    _check_barcodes(counts.barcodes, bin_um, files.counts)
    counts, positions = _join(counts, read_positions(files.positions), files)
    pitch_px = _pitch(positions, bin_um / factors.mpp, slide)
    return build_bins(counts, positions, bin_um, factors, slide, patient, pitch_px)


def build_bins(
    counts: Counts,
    positions: pd.DataFrame,
    bin_um: int,
    factors: ScaleFactors,
    slide: str,
    patient: str | None,
    pitch_px: float,
) -> SpatialData:
    """Make bins of counts and of the table of positions of the same barcodes, as Space Ranger names its columns."""
    from spatialhist._sdata.scale import slide_info

    # the side and not the diameter of the scale factors, which is rounded
    xy, side = positions[PIXEL].to_numpy(float), bin_um / factors.mpp
    sdata = _build(counts, xy, side, positions.drop(columns=PIXEL), factors, slide, patient)
    slide_info(sdata, slide).update(pitch_px=pitch_px)
    return sdata


def read_segmented(files: SpaceRangerFiles, slide: str, patient: str | None) -> SpatialData:
    """Read cells as circles of their area around their centroid.

    Raises
    ------
    ValueError
        If a file is broken.
    """
    factors = read_scale_factors(files.scale_factors)
    counts, cells = _join(read_counts(files.counts), read_cells(files.positions), files)
    obs = pd.DataFrame({CELL_AREA: cells["area"] * factors.mpp**2})
    diameter = 2 * np.sqrt(cells["area"].to_numpy() / np.pi)
    return _build(counts, cells[["x", "y"]].to_numpy(), diameter, obs, factors, slide, patient)


def _other_size(path: Path, bin_um: int, found: str) -> str:
    return (
        f"{path} is of bins of {found} um, not of {bin_um} um: put the file of square_{bin_um:03d}um in its place, or read the "
        f"folder of those bins with bin_um={found}"
    )


def _check_barcodes(barcodes: pd.Index, bin_um: int, path: Path) -> None:
    found = BARCODE.match(barcodes[0]) if len(barcodes) else None
    if found is not None and int(found[1]) != bin_um:
        raise ValueError(_other_size(path, bin_um, str(int(found[1]))))


def _join(counts: Counts, places: pd.DataFrame, files: SpaceRangerFiles) -> tuple[Counts, pd.DataFrame]:
    """Counts and places of the barcodes that have both."""
    at = places.index.get_indexer(counts.barcodes)
    known = at >= 0
    if not known.any():
        example = f", e.g. {counts.barcodes[0]!r}" if len(known) else ""
        there = f"e.g. {places.index[0]!r}" if len(places) else "none"
        raise ValueError(
            f"none of {len(known)} barcodes of {files.counts}{example} is in {files.positions}, which has {there}: take both "
            "files from the same output"
        )
    if not known.all():
        warnings.warn(
            f"{(~known).sum()} of {len(known)} barcodes of {files.counts} have no place in {files.positions} and are left "
            "out; Space Ranger writes one for each, so one of the files was cut or is of another output",
            stacklevel=6,
        )
        # only where some are lost: taking rows copies the matrix
        counts = Counts(counts.barcodes[known], counts.matrix[known], counts.genes)
    return counts, places.iloc[at[known]]


def _build(
    counts: Counts,
    xy: np.ndarray,
    diameter: float | np.ndarray,
    obs: pd.DataFrame,
    factors: ScaleFactors,
    slide: str,
    patient: str | None,
) -> SpatialData:
    import spatialdata as sd
    from spatialdata.transformations import Identity, Scale

    from spatialhist._sdata.build import parse_table
    from spatialhist._sdata.own_shapes import circles
    from spatialhist._sdata.scale import slide_info
    from spatialhist.io._assembly.slide import check_counts

    ids = np.arange(len(xy))
    names = unique_names(counts.genes["symbol"], counts.genes["id"])
    matrix = check_counts(counts.matrix, len(xy), names, slide)
    small = {f"{slide}_downscaled_{s}": getattr(factors, s) for s in ("hires", "lowres")}
    placed = {key: Scale([factor, factor], axes=("x", "y")) for key, factor in small.items() if factor is not None}
    shapes = circles(xy, diameter, ids, {slide: Identity(), **placed})
    table = parse_table(matrix, xy, ids, slide, names, patient, True, obs)
    table.obs_names = [f"{slide}_{barcode}" for barcode in counts.barcodes]
    table.var[IDS] = counts.genes["id"].to_numpy()
    said = {MPP: factors.mpp} | ({} if factors.bin_um is None else {BIN: factors.bin_um})
    table.uns[_keys.SPATIAL] = {slide: {"scalefactors": said}}
    sdata = sd.SpatialData.init_from_elements({slide: shapes})
    sdata.tables[_keys.TABLE] = table
    slide_info(sdata, slide).update(mpp=factors.mpp)
    return sdata


def _pitch(positions: pd.DataFrame, side: float, slide: str) -> float:
    """Pixels between neighbors: the side of a bin, unless positions say something else."""
    # not every so many: bins of one column would be all that is seen of a square array
    some = positions.sample(min(len(positions), MOST_COMPARED), random_state=0)
    found = array_pitch(some[ARRAY].to_numpy(float), some[PIXEL].to_numpy(float))
    if found is None or abs(found / side - 1) < SAME_PITCH:
        return side
    warnings.warn(
        f"bins of slide {slide!r} lie {found:.4g} pixels apart, but are {side:.4g} pixels wide: positions are of bins of "
        "another size, or of another image than the scale factors",
        stacklevel=6,
    )
    return found
