"""Tiles of one size on an image of a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatialhist.tiles._reading.source import PixelSource

if TYPE_CHECKING:
    from spatialhist._sdata.slide import Slide
    from spatialhist.tiles._spec import TileSpec


@dataclass(frozen=True)
class TileView:
    """Where the tiles of one size are read, and how large they are there; light enough for other processes.

    Attributes
    ----------
    slide
        Slide id.
    mpp
        Micrometers per full-resolution pixel of the slide, None where unknown.
    source
        Pixels of the image.
    spec
        What a tile shows.
    extent_px
        Its side in full-resolution pixels of the image.
    """

    slide: str
    mpp: float | None
    source: PixelSource
    spec: TileSpec
    extent_px: float

    @classmethod
    def of(cls, slide: Slide, specs: Sequence[TileSpec], image: str | None) -> tuple[TileView, ...]:
        """Tiles of several sizes on one image of a slide."""
        source = PixelSource(slide.image(image).pyramid)
        return tuple(cls(slide.name, slide.scale.mpp, source, spec, slide.px(spec.extent, image)) for spec in specs)
