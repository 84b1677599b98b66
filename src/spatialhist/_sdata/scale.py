"""How large a pixel is, and what the object remembers of a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice

if TYPE_CHECKING:
    from spatialdata import SpatialData

UNITS = ("um", "pitch", "px")
"""Of lengths: micrometers, spot spacings, pixels of the full resolution."""
DIAMETER_IN_PITCHES = 0.55
"""Of Visium, 55 of 100 um, where nothing says how large a spot is."""


@dataclass(frozen=True)
class Scale:
    """Physical scale of a slide.

    Attributes
    ----------
    mpp
        Micrometers per full-resolution pixel, None where unknown.
    pitch_px
        Distance of neighboring spots in full-resolution pixels, None for a single spot.
    spot_diameter_px
        Diameter of a spot in full-resolution pixels, None for a slide without spots.
    """

    mpp: float | None
    pitch_px: float | None
    spot_diameter_px: float | None

    def px(self, extent: tuple[str, float], slide: str) -> float:
        """Length in full-resolution pixels of ``("um" | "pitch" | "px", value)``.

        Raises
        ------
        TypeError
            If it is no pair of a unit and a number.
        ValueError
            If the length is not positive, the unit is unknown, or the slide lacks what it needs.
        """
        if not (isinstance(extent, Sequence) and len(extent) == 2 and isinstance(extent[1], Real)):
            raise TypeError(f"{extent!r} is no length: give a unit and a number, as in ('pitch', 1.5)")
        unit, value = extent
        check_choice(f"{extent!r} of slide {slide!r}: unit", unit, UNITS)
        if not 0 < value < np.inf:
            raise ValueError(f"{extent!r} of slide {slide!r} must be a positive length")
        if unit == "px":
            return float(value)
        if unit == "um":
            if self.mpp is None:
                raise ValueError(
                    f"slide {slide!r} has no mpp, so {value} um has no length in pixels: set "
                    f"sdata.attrs['spatialhist']['slides'][{slide!r}]['mpp'], or give the length in ('pitch', ...)"
                )
            return value / self.mpp
        if self.pitch_px is None:
            raise ValueError(
                f"slide {slide!r} has a single spot, so its spot spacing is unknown: "
                f"give {value} in ('um', ...) or ('px', ...)"
            )
        return value * self.pitch_px

    def diameter(self, slide: str) -> float:
        """Diameter of a spot in full-resolution pixels.

        Raises
        ------
        ValueError
            If the slide has no spots that say it.
        """
        if self.spot_diameter_px is None:
            raise ValueError(
                f"slide {slide!r} has no spots, so their diameter is unknown: set "
                f"sdata.attrs['spatialhist']['slides'][{slide!r}]['spot_diameter_px']"
            )
        return self.spot_diameter_px


def slide_info(sdata: SpatialData, slide: str) -> dict[str, Any]:
    """Entry of a slide in ``sdata.attrs``, created where missing; change it in place."""
    root = sdata.attrs.setdefault(_keys.ROOT, {})
    return root.setdefault("slides", {}).setdefault(slide, {})


def scale(sdata: SpatialData, slide: str) -> Scale:
    """Physical scale of a slide that has passed :func:`spatialhist._sdata.cohort.open_cohort` or ``open_images``."""
    info = slide_info(sdata, slide)
    return Scale(info.get("mpp"), info.get("pitch_px"), info.get("spot_diameter_px"))


def stain_target(sdata: SpatialData, slide: str, image: str) -> dict[str, Any] | None:
    """What a slide's image was recolored to, as the manifest of a run keeps it; None for the H&E image itself."""
    return None if image == "full" else slide_info(sdata, slide).get("stain", {}).get("target")
