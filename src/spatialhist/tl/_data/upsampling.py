"""Whether an encoder is shown more pixels than an image has."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from spatialhist.nn import ColorTexture

if TYPE_CHECKING:
    from spatialhist._sdata.slide import Slide
    from spatialhist.nn import FrozenEncoder
    from spatialhist.tl._data.design import Design

MAX_FACTOR = 1.5
"""Tiles that are enlarged by more show blur where an encoder was trained on detail."""


def warn_of_upsampling(slides: Sequence[Slide], design: Design, encoder: ColorTexture | FrozenEncoder) -> None:
    """Warn once of the slide whose tiles are enlarged most, where the encoder learned from tiles or says what it takes.

    Statistics without weights know no sharpness that they were trained at.
    """
    if isinstance(encoder, ColorTexture) or (encoder.pixels is None and not _has_weights(encoder)):
        return
    factors = {
        (slide.name, extent): spec.pixels / slide.px(extent, design.image)
        for slide in slides
        for extent, spec in zip(design.extents, design.specs, strict=True)
    }
    (name, extent), factor = max(factors.items(), key=lambda item: item[1])
    if factor <= MAX_FACTOR:
        return
    (unit, length), pixels = extent, design.specs[0].pixels
    warnings.warn(
        f"slide {name!r}: tiles of {length:g} {unit} have {pixels / factor:.0f} pixels in the image and are enlarged "
        f"{factor:.1f} times to the {pixels} pixels of encoder {_label(design)}, which sees blur where it was "
        f"trained on detail. Read an image of higher resolution, or pass wider fields of view: "
        f"extents={_wide_enough(design, factors)}",
        stacklevel=4,
    )


def _has_weights(encoder: torch.nn.Module) -> bool:
    return next(encoder.parameters(), None) is not None


def _label(design: Design) -> str:
    encoder = design.encoder
    return repr(encoder) if isinstance(encoder, str) else getattr(encoder, "__name__", type(encoder).__name__)


def _wide_enough(design: Design, factors: dict[tuple[str, tuple[str, float]], float]) -> list[tuple[str, float]]:
    """Fields of view that are not enlarged too much on any slide; the narrowest possible one where all are."""
    worst = {extent: max(f for (_, e), f in factors.items() if e == extent) for extent in design.extents}
    kept = [extent for extent, factor in worst.items() if factor <= MAX_FACTOR]
    unit, length = max(worst, key=lambda extent: extent[1])
    needed = length * worst[unit, length] / MAX_FACTOR
    # rounded up to two digits, so that following the advice passes
    digits = 10.0 ** (math.floor(math.log10(needed)) - 1)
    return kept or [(unit, round(math.ceil(needed / digits) * digits, 6))]
