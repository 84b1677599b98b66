"""Spots of Visium, as of any array whose spots lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.datasets._drawing.slide import Slide


def build_visium(slide: Slide, name: str, patient: str, genes: list[str]) -> SpatialData:
    """Make an object of a slide with spots."""
    from spatialhist._sdata.build import build_slide

    design = slide.scene.design
    return build_slide(
        slide.image,
        slide.xy,
        slide.counts,
        slide=name,
        genes=genes,
        patient=patient,
        mpp=design.mpp,
        pitch_px=design.pitch / design.mpp,
        spot_diameter_px=design.diameter / design.mpp,
    )
