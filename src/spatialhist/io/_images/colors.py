"""Stored colors of any common kind as RGB of 8 bits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from spatialhist._sdata.rgb import on_white, to_8_bits


@dataclass(frozen=True, eq=False)
class Colors:
    """What the channels of stored pixels are.

    Attributes
    ----------
    kind
        ``"rgb"``, ``"gray"``, ``"white_is_zero"`` (gray), ``"cmyk"``, ``"ycbcr"`` or ``"palette"``.
    bits
        Bits in use, of 8 or 16.
    order
        Which channels are red, green and blue, where they lie in another order.
    alpha
        What the channel after the colors is: ``"straight"``, ``"premultiplied"``, or ``""`` for something else.
    palette
        Colors ``(n, 3)`` uint8.
    """

    kind: str
    bits: int = 8
    order: tuple[int, ...] | None = None
    alpha: str = ""
    palette: np.ndarray | None = None

    def glass(self, highest: int) -> int:
        """Stored value of glass, of which scanners leave out whole tiles; ``highest`` is the largest that fits."""
        if self.palette is not None:
            return int(self.palette.sum(axis=1, dtype=int).argmax())
        return 0 if self.kind in ("white_is_zero", "cmyk") else highest

    def to_rgb(self, pixels: np.ndarray) -> np.ndarray:
        """Bring ``(y, x, c)`` to RGB of 8 bits; alpha is laid on white, what is neither color nor alpha dropped."""
        if self.palette is not None:
            # a damaged file may point beyond its palette
            return self.palette[np.minimum(pixels[:, :, 0], len(self.palette) - 1)]
        pixels = to_8_bits(pixels, self.bits)
        if self.order is not None:
            return pixels[:, :, list(self.order)]
        n = {"rgb": 3, "ycbcr": 3, "cmyk": 4}.get(self.kind, 1)
        stored, convert = pixels[:, :, :n], _COLORS.get(self.kind)
        return _laid_on_white(stored if convert is None else convert(stored), pixels[:, :, n:], self.alpha)


def _gray(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels, 3, axis=2)


def _inverted(pixels: np.ndarray) -> np.ndarray:
    return _gray(255 - pixels)


def _of_cmyk(pixels: np.ndarray) -> np.ndarray:
    return _by_pillow(pixels, "CMYK")


def _of_ycbcr(pixels: np.ndarray) -> np.ndarray:
    rgb = _by_pillow(pixels, "YCbCr")
    # Tiles that were left out are 255 in every channel, which is no color of YCbCr.
    rgb[(pixels == 255).all(axis=2)] = 255
    return rgb


def _by_pillow(pixels: np.ndarray, mode: str) -> np.ndarray:
    from PIL import Image

    return np.array(Image.fromarray(np.ascontiguousarray(pixels), mode).convert("RGB"))


_COLORS = {"gray": _gray, "white_is_zero": _inverted, "cmyk": _of_cmyk, "ycbcr": _of_ycbcr}


def _laid_on_white(rgb: np.ndarray, rest: np.ndarray, alpha: str) -> np.ndarray:
    if not alpha:
        return rgb
    if alpha == "premultiplied":
        # colors brighter than their alpha, as rounding makes them, would overflow 8 bits
        return rgb + (255 - np.maximum(rest[:, :, :1], rgb.max(axis=2, keepdims=True)))
    return on_white(np.dstack([rgb, rest[:, :, :1]]))


def warn_gray(name: str) -> None:
    """Say that an image has no colors, which H&E lives from."""
    warnings.warn(f"{name} has one channel: read as gray. Stain and color features need the RGB image", stacklevel=3)


def warn_cmyk(name: str) -> None:
    """Say that colors of inks depend on the printer."""
    warnings.warn(
        f"{name} holds CMYK, brought to RGB by the plain formula: its colors are approximate. Save it as RGB to be sure",
        stacklevel=3,
    )
