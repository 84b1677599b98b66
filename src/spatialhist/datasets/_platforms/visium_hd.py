"""Bins of Visium HD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.datasets._drawing.bins import Bins


def build_visium_hd(slide: Bins, name: str, patient: str, genes: list[str]) -> SpatialData:
    """Make an object of a slide with bins, under the names that Space Ranger and its reader give them."""
    from spatialdata.transformations import Identity

    from spatialhist._sdata.cohort import open_cohort
    from spatialhist._sdata.pyramids import parse_image
    from spatialhist.io._space_ranger.counts import Counts
    from spatialhist.io._space_ranger.hd_slide import build_bins
    from spatialhist.io._space_ranger.scale_factors import ScaleFactors

    design = slide.scene.design
    factors = ScaleFactors(Path(), design.mpp, design.bin_um, hires=None, lowres=None)
    positions = _positions(slide)
    counts = Counts(positions.index, slide.counts, pd.DataFrame({"symbol": genes, "id": genes}))
    part = build_bins(counts, positions, design.bin_um, factors, name, patient, design.bin_um / design.mpp)
    part.images[_keys.image(name)] = parse_image(slide.image, {name: Identity()})
    open_cohort(part)
    return part


def _positions(slide: Bins) -> pd.DataFrame:
    size = slide.scene.design.bin_um
    barcodes = [f"s_{size:03d}um_{i:05d}_{j:05d}-1" for i, j in zip(slide.row, slide.column, strict=True)]
    x, y = slide.xy.T
    columns = {
        _keys.IN_TISSUE: True,
        "array_row": slide.row,
        "array_col": slide.column,
        "pxl_row_in_fullres": y,
        "pxl_col_in_fullres": x,
    }
    return pd.DataFrame(columns, index=pd.Index(barcodes, dtype=object))
