"""What is read as the spots of a slide: cells of a lattice, or segmented cells; positions in micrometers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialhist._runtime.checks import check_choice, check_range
from spatialhist.io._xenium_files.cells import read_cells
from spatialhist.io._xenium_files.counting import count_in_spots

if TYPE_CHECKING:
    from spatialhist.io._xenium_files.counting import Spots
    from spatialhist.io._xenium_files.files import XeniumFiles

CELLS = "cells"
Lattice = Literal["hex", "square"]
COUNTED_QV = 20
"""Least quality of transcripts in the cell-feature matrix of every version."""
EXAMPLES = "give ('um', 55) for spots of 55 um, or 'cells' for segmented cells"


def check_spots_option(spots: Any, lattice: str, min_qv: float) -> float | None:
    """Spacing in micrometers; None for cells.

    Raises
    ------
    TypeError, ValueError
        If an option cannot be what it is, or does not fit the others.
    """
    check_choice("lattice", lattice, Lattice)
    check_range("min_qv", min_qv, 0)
    if isinstance(spots, str):
        check_choice("spots", spots, (CELLS,), otherwise=f": {EXAMPLES}")
        if min_qv != COUNTED_QV:
            raise ValueError(
                f"min_qv={min_qv:g} is for transcripts: Xenium counts those of quality {COUNTED_QV} and more in cells, so leave it "
                "out with spots='cells'"
            )
        return None
    if not (isinstance(spots, Sequence) and len(spots) == 2 and isinstance(spots[1], Real)):
        raise TypeError(f"spots={spots!r} is no size: {EXAMPLES}")
    check_choice(f"spots={spots!r}: unit", spots[0], ("um",))
    if not 0 < float(spots[1]) < np.inf:
        raise ValueError(f"spots={spots!r} must be larger than 0: {EXAMPLES}")
    return float(spots[1])


def read_spots(files: XeniumFiles, spacing: float | None, lattice: str, min_qv: float) -> Spots:
    """Read transcripts in spots of a lattice, or cells where there is no spacing.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing or damaged.
    """
    if spacing is None:
        return read_cells(files)
    if files.transcripts is None:
        has_cells = "; to read its cells, give spots='cells'" if files.cells and files.matrix else ""
        raise FileNotFoundError(
            f"missing {files.folder / 'transcripts.parquet'} (or transcripts.csv.gz): copy it there from the Xenium "
            f"output{has_cells}"
        )
    return count_in_spots(files.transcripts, spacing, lattice, min_qv)
