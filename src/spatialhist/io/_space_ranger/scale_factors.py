"""How large a pixel and a bin of Visium HD are, as Space Ranger says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialhist._runtime.files import BROKEN, intact

MPP, BIN, DIAMETER = "microns_per_pixel", "bin_size_um", "spot_diameter_fullres"
TOLERANCE = 0.02
"""Share by which the side of a bin in pixels may differ from its size, by rounding."""


@dataclass(frozen=True)
class ScaleFactors:
    """Scale of one slide.

    Attributes
    ----------
    mpp
        Micrometers per pixel of the full resolution.
    bin_um
        Side of a bin; None for cells.
    hires, lowres
        Pixels of the small images per pixel of the full resolution; None where there are none.
    """

    path: Path
    mpp: float
    bin_um: float | None
    hires: float | None
    lowres: float | None


def read_scale_factors(path: Path) -> ScaleFactors:
    """Read the scale factors of bins or cells.

    Raises
    ------
    ValueError
        If it is no such file, or contradicts itself.
    """
    says = "{path} cannot be read as scale factors of Space Ranger: {error}"
    with intact(path, says, errors=(*BROKEN, OSError, ValueError)):
        stored = dict(json.loads(path.read_text(encoding="utf-8")))
    mpp = _positive(stored, MPP, path)
    if mpp is None:
        raise ValueError(
            f"{path} has no {MPP!r}, which every output of Visium HD has, of bins and of segmented cells: copy the file again "
            "from the output"
        )
    # of cells both are missing
    bin_um, diameter = _positive(stored, BIN, path), _positive(stored, DIAMETER, path)
    if bin_um and diameter and abs(diameter * mpp / bin_um - 1) > TOLERANCE:
        raise ValueError(
            f"{path} contradicts itself: bins of {BIN}={bin_um:g} are {diameter:g} pixels of {mpp:g} um wide, which are "
            f"{diameter * mpp:.3g} um; copy the file again from the output"
        )
    return ScaleFactors(
        path, mpp, bin_um, *(_positive(stored, f"tissue_{s}_scalef", path) for s in ("hires", "lowres"))
    )


def _positive(stored: dict[str, Any], key: str, path: Path) -> float | None:
    value = stored.get(key)
    if value is not None and not (isinstance(value, int | float) and 0 < value < np.inf):
        raise ValueError(f"{path} holds {key}={value!r}: want a positive number")
    return None if value is None else float(value)
