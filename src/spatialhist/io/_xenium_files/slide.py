"""A slide of Xenium from spots or cells, laid on its H&E image."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.gene_names import IDS
from spatialhist._sdata.scale import slide_info

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._xenium_files.alignment import Alignment
    from spatialhist.io._xenium_files.counting import Spots

RECORD = "xenium"
"""Entry of a slide in ``attrs`` that says what was left out and how the image was placed."""


def build_spots(found: Spots, alignment: Alignment | None, pixels: Any, slide: str, patient: str | None) -> SpatialData:
    """Make a slide in pixels of the H&E image, or in micrometers where there is none and no alignment."""
    from spatialhist.io._assembly.slide import make_slide

    # without an image a pixel is a micrometer, so that lengths need no case of their own
    mpp = 1.0 if alignment is None else alignment.mpp
    diameter = np.broadcast_to(found.diameter_um, len(found.centers_um)) / mpp
    part = make_slide(
        pixels,
        found.centers_um if alignment is None else alignment.to_pixels(found.centers_um),
        found.matrix,
        slide=slide,
        genes=found.genes,
        spot_ids=found.ids,
        patient=patient,
        mpp=mpp,
        pitch_px=None if found.pitch_um is None else found.pitch_um / mpp,
        # one number for what needs one; each cell keeps its own radius below
        spot_diameter_px=float(np.median(diameter)),
        obs=found.obs,
    )
    part.shapes[slide]["radius"] = diameter / 2
    if found.gene_ids is not None:
        part.tables[_keys.TABLE].var[IDS] = found.gene_ids
    slide_info(part, slide)[RECORD] = _record(found, alignment)
    return part


def _record(found: Spots, alignment: Alignment | None) -> dict[str, Any]:
    record = {key: value for key, value in asdict(found.tally).items() if value is not None}
    if alignment is not None:
        record |= {"alignment": alignment.matrix.tolist(), "alignment_file": alignment.source}
        record |= {} if alignment.residual_um is None else {"residual_um": alignment.residual_um}
    return record
