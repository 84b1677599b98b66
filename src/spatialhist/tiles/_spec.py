from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.scale import UNITS

PADDINGS = ("reflect", "white")
PIXELS = 64
"""Side of the tiles of encoders that do not say which they were made for."""


@dataclass(frozen=True)
class TileSpec:
    """What a tile shows: how much of the tissue, at how many pixels.

    Attributes
    ----------
    extent
        Side of the square of tissue, ``("um", micrometers)``, ``("pitch", multiples of the spot distance)`` or
        ``("px", full-resolution pixels)``. The first two show the same area on slides scanned at different scales.
    pixels
        Side of the tile in pixels.
    grid
        Subtiles along each side.
    padding
        What tiles show beyond the border of the image: ``"reflect"`` its mirror image, ``"white"`` empty glass.

    Raises
    ------
    ValueError
        If the unit or the padding is unknown, a size is not positive or the grid does not fit.

    Examples
    --------
    >>> from spatialhist.tiles import TileSpec
    >>> TileSpec(extent=("um", 150), pixels=78)
    TileSpec(extent=('um', 150.0), pixels=78, grid=3, padding='reflect')
    """

    extent: tuple[str, float]
    pixels: int
    grid: int = 3
    padding: str = "reflect"

    def __post_init__(self) -> None:
        unit, value = self.extent
        check_choice(f"extent={self.extent!r}: unit", unit, UNITS)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"extent={self.extent!r} must be a positive length")
        for name in ("pixels", "grid"):
            if int(getattr(self, name)) != getattr(self, name) or getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be a whole number of at least 1")
        if self.grid > self.pixels:
            raise ValueError(f"grid={self.grid} does not fit a tile of {self.pixels} pixels")
        check_choice("padding", self.padding, PADDINGS)
        object.__setattr__(self, "extent", (unit, float(value)))
        object.__setattr__(self, "pixels", int(self.pixels))
        object.__setattr__(self, "grid", int(self.grid))

    def to_json(self) -> dict[str, Any]:
        """Return the specification in types that JSON holds."""
        return {**asdict(self), "extent": list(self.extent)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TileSpec:
        """Make a specification from what `to_json` returned."""
        return cls(**{**values, "extent": tuple(values["extent"])})


def as_specs(spec: TileSpec | Sequence[TileSpec]) -> tuple[TileSpec, ...]:
    """Return one or several specifications as a tuple.

    Raises
    ------
    ValueError
        If there is none.
    """
    specs = (spec,) if isinstance(spec, TileSpec) else tuple(spec)
    if not specs:
        raise ValueError("spec=[] holds no TileSpec: give one, or several for tiles of several sizes")
    return specs
