"""How large a pixel and a spot were in training, and what that means on another slide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from spatialhist._sdata.scale import DIAMETER_IN_PITCHES, Scale
from spatialhist.tl._data.design import Design

MAX_FACTOR = 1.5
"""Scales that differ by more from every training slide are warned of."""


@dataclass(frozen=True)
class TrainedScale:
    """Scale of the slides that a run was trained on.

    Attributes
    ----------
    mpp
        Smallest and largest micrometers per pixel, None where unknown.
    pitch_um, spot_diameter_um
        Medians over the slides of known scale, None where there is none.
    """

    mpp: tuple[float, float] | None
    pitch_um: float | None
    spot_diameter_um: float | None

    @classmethod
    def of(cls, scales: Iterable[Scale]) -> TrainedScale:
        """Take it from the training slides, as far as their scale is known."""
        known = list(scales)
        mpp = [s.mpp for s in known if s.mpp]
        return cls(
            (min(mpp), max(mpp)) if mpp else None,
            # medians, since one slide with a wrong scale must not change the spots of all others
            _median([s.pitch_px * s.mpp for s in known if s.mpp and s.pitch_px]),
            _median([s.spot_diameter_px * s.mpp for s in known if s.mpp and s.spot_diameter_px]),
        )

    def complete(self, own: Scale) -> Scale:
        """Scale of a slide, with the spots of training where it has none."""
        spots = self.spots(own)
        return replace(spots, pitch_px=own.pitch_px or spots.pitch_px)

    def spots(self, own: Scale) -> Scale:
        """Scale of a slide with the spots of training; with its own where micrometers are not known."""
        pitch = _to_px(self.pitch_um, own.mpp) or own.pitch_px
        diameter = _to_px(self.spot_diameter_um, own.mpp) or own.spot_diameter_px
        return replace(
            own, pitch_px=pitch, spot_diameter_px=diameter or (DIAMETER_IN_PITCHES * pitch if pitch else None)
        )

    def mismatch(self, mpp: float | None, slide: str) -> str | None:
        """Say that a slide's pixels are of another size than those of training."""
        if mpp is None or self.mpp is None:
            return None
        low, high = self.mpp
        if low / MAX_FACTOR <= mpp <= high * MAX_FACTOR:
            return None
        return (
            f"slide {slide!r} has {mpp:g} um per pixel, the model was trained at {low:g} to {high:g}: tiles show the "
            "same area, but not the same detail; check mpp; fine structure is unreliable"
        )


def _median(found: list[float]) -> float | None:
    return float(np.median(found)) if found else None


def _to_px(um: float | None, mpp: float | None) -> float | None:
    return um / mpp if um and mpp else None


def design_in_px(design: Design, scale: Scale, slide: str, *, tiles: bool) -> Design:
    """Give the fields of view of a design in pixels of one slide.

    Parameters
    ----------
    design
        With lengths in any unit.
    scale
        Scale of the slide, completed by that of training.
    slide
        Its name.
    tiles
        Whether the tiles of networks are needed.

    Raises
    ------
    ValueError
        If the slide lacks the mpp or the spot spacing that a field of view needs.
    """
    needed = [*design.extents, *design.radii, *design.spot_pixels, *([design.tile_extent] if tiles else [])]
    check_pitch(scale, slide, needed)
    tile = ("px", scale.px(design.tile_extent, slide)) if tiles else design.tile_extent
    extents, context = (tuple(("px", scale.px(e, slide)) for e in each) for each in (design.extents, design.radii))
    pixel = ("px", scale.px(design.spot_resolution, slide)) if design.spot_resolution else None
    return replace(design, extents=extents, context=context, tile_extent=tile, spot_resolution=pixel)


def check_pitch(scale: Scale, slide: str, extents: list[tuple[str, float]]) -> None:
    """Refuse lengths in spot spacings where the spacing is unknown.

    Raises
    ------
    ValueError
        If the spot spacing is unknown; the message names other units.
    """
    if scale.pitch_px is None and any(unit == "pitch" for unit, _ in extents):
        raise ValueError(
            f"the distance of spots is not known on slide {slide!r}: it has none, and the slide or the training slides "
            f"have no mpp; set sdata.attrs['spatialhist']['slides'][{slide!r}]['pitch_px'] to the distance of training "
            "spots in its pixels"
        )
