"""How large a pixel is that positions of an AnnData were measured in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.known_scale import VISIUM_PITCH_UM, is_visium_chemistry
from spatialhist.io._anndata.pictures import scale_factor

if TYPE_CHECKING:
    from spatialhist.io._anndata.libraries import Library

DIAMETERS = (0.45, 0.75)
"""Diameter of a spot over the spot spacing in scale factors of Visium: Space Ranger writes 0.65, others the true 0.55."""
NEAR = 1.2
"""Spot spacings within which a neighbor lies."""
ALIGNED = 0.9
"""Length of a mean of directions from which on they count as one."""


def said_mpp(library: Library, xy: np.ndarray, pitch: float | None) -> float | None:
    """Micrometers per pixel of positions, by the scale factors or by the array; None where nothing tells.

    Spots of Visium are 100 um apart. Their diameter says less, since Space Ranger does not write that of the spots.
    """
    said = scale_factor(library, "microns_per_pixel")
    bin_um, diameter = scale_factor(library, "bin_size_um"), scale_factor(library, "spot_diameter_fullres")
    # scale factors of Visium HD state it, those of Visium do not
    if said is not None:
        return said
    if bin_um is not None and diameter is not None:
        return bin_um / diameter
    return VISIUM_PITCH_UM / pitch if pitch and _is_visium(library, xy, pitch) else None


def _is_visium(library: Library, xy: np.ndarray, pitch: float) -> bool:
    said = is_visium_chemistry(library.entry)
    if said is not None:
        return said
    diameter = scale_factor(library, "spot_diameter_fullres")
    if diameter is None or not DIAMETERS[0] < diameter / pitch < DIAMETERS[1]:
        return False
    return is_hexagonal(xy, pitch)


def is_hexagonal(xy: np.ndarray, pitch: float) -> bool:
    """Whether neighbors lie in directions 60 degrees apart, and in more than one."""
    from scipy.spatial import cKDTree

    points = xy[np.isfinite(xy).all(axis=1)]
    pairs = cKDTree(points).query_pairs(NEAR * pitch, output_type="ndarray")
    if not len(pairs):
        return False
    step = points[pairs[:, 0]] - points[pairs[:, 1]]
    angle = np.arctan2(step[:, 1], step[:, 0])
    # six times an angle is one direction on a hexagonal array and cancels on a square one; twice the angle
    # cancels on both, and stays only where all spots lie on a line
    six, two = (abs(np.exp(1j * times * angle).mean()) for times in (6, 2))
    return bool(six > ALIGNED and two < ALIGNED)
