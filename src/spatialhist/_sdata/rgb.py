"""Image elements of any common kind as RGB of 8 bits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import dask.array as da

NAMED = {"r": 0, "red": 0, "g": 1, "green": 1, "b": 2, "blue": 2}
UNTOLD = re.compile(r"(channel|ch|c|band|sample)?[\s_:#-]*[\d:]*")
"""Names that programs give to channels without a name."""
DEPTHS = (8, 10, 12, 14)
"""Bits that cameras fill of 16."""
SAMPLED_PX, SAMPLES = 64, 8
"""Side, and number a side, of the squares that tell how many bits are filled."""


def rgb_levels(levels: Sequence[Any], name: str) -> list[da.Array]:
    """Lazy ``(3, y, x)`` uint8 of the levels of an image element; those that are so already come back as they are.

    Channels named r, g and b are put into this order, gray becomes three equal channels, alpha is laid on white, floats in
    [0, 1] and whole numbers of up to 16 bits are brought to 8.

    Raises
    ------
    ValueError
        If channels are named after something else, are not 1, 3 or 4, or values are of another kind.
    """
    import dask.array as da

    arrays = [da.asarray(level.transpose("c", "y", "x").data) for level in levels]
    order = _channels(levels[0], name)
    if order == [0, 1, 2] and arrays[0].shape[0] == 3 and arrays[0].dtype == np.uint8:
        return arrays
    # a fourth channel of 0 would hide everything, so it is no alpha
    alpha = len(order) == 4 and _samples(arrays[-1][3:]).any()
    convert = partial(_convert, order=order if alpha else order[:3], bits=_bits(arrays[-1], name), name=name)
    return [
        a.rechunk({0: -1}).map_blocks(
            convert, dtype=np.uint8, chunks=((3,), *a.chunks[1:]), meta=np.empty((0, 0, 0), np.uint8)
        )
        for a in arrays
    ]


def _channels(level: Any, name: str) -> list[int]:
    """Positions of red, green, blue and, where there is one, alpha."""
    n = level.sizes["c"]
    names = [str(v) for v in level.coords["c"].values] if "c" in level.coords else None
    order = named_order(names, name) if n > 1 else None
    if names and order is not None:
        return [*order, *(i for i, channel in enumerate(names) if channel.strip().lower() in ("a", "alpha"))]
    if n not in (1, 3, 4):
        raise ValueError(
            f"{name} has {n} channels, of which nothing tells red, green and blue: name them 'r', 'g' and 'b'"
        )
    return [0, 0, 0] if n == 1 else list(range(n))


def named_order(names: Sequence[Any] | None, name: str) -> tuple[int, int, int] | None:
    """Which channels are red, green and blue by their names; None where names do not tell.

    Raises
    ------
    ValueError
        If channels are named, and not after these colors.
    """
    if not names:
        return None
    plain = [str(n).strip().lower() for n in names]
    positions = {NAMED[n]: i for i, n in enumerate(plain) if n in NAMED}
    if len(positions) == 3:
        return positions[0], positions[1], positions[2]
    if all(UNTOLD.fullmatch(n) for n in plain):
        return None
    shown = ", ".join(map(repr, map(str, names[:6]))) + (", ..." if len(names) > 6 else "")
    raise ValueError(
        f"{name} has the channels {shown}: want red, green and blue. Take an image stained with H&E, or name its "
        "channels, as in sdata.set_channel_names(key, ['r', 'g', 'b'])"
    )


def _bits(level: da.Array, name: str) -> int | None:
    """Bits in use of whole numbers, None for floats, by a few squares of the coarsest level."""
    if level.dtype == np.uint8:
        return 8
    if level.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds {level.dtype}: want uint8 of 0..255, or float of [0, 1]")
    sampled = _samples(level)
    if level.dtype.kind == "f":
        to_uint8(sampled, name)
        return None
    if sampled.min() < 0 or sampled.max() >= 2**16:
        raise ValueError(f"{name} holds {level.dtype} from {sampled.min()} to {sampled.max()}: want 0..255 or 16 bits")
    return filled_bits(int(sampled.max()))


def _samples(level: da.Array) -> np.ndarray:
    """Values of a few squares across a level ``(c, y, x)``."""
    import dask

    squares = [level[:, y, x].ravel() for y, x in squares_across(*level.shape[1:])]
    return np.concatenate(dask.compute(*squares))


def squares_across(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a few squares that lie in all parts of an image."""
    # columns are shifted against rows, so that squares do not all lie on one diagonal
    starts = [np.linspace(0, max(0, size - SAMPLED_PX), SAMPLES).astype(int) for size in (height, width)]
    for y, x in zip(starts[0], np.roll(starts[1], SAMPLES // 2), strict=True):
        yield slice(y, y + SAMPLED_PX), slice(x, x + SAMPLED_PX)


def filled_bits(highest: int) -> int:
    """Bits that are in use of 16, by the highest value seen: those of a camera of 12 bits would look black."""
    return next((bits for bits in DEPTHS if highest < 2**bits), 16)


def _convert(pixels: np.ndarray, *, order: list[int], bits: int | None, name: str) -> np.ndarray:
    """Bring ``(c, y, x)`` to RGB of 8 bits."""
    if not pixels.size:
        return np.empty((3, *pixels.shape[1:]), dtype=np.uint8)
    values = to_uint8(pixels[order], name) if bits is None else to_8_bits(pixels[order], bits)
    return values if len(order) == 3 else np.moveaxis(on_white(np.moveaxis(values, 0, -1)), -1, 0)


def to_8_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale whole numbers of which some bits are in use."""
    if values.dtype == np.uint8:
        return values
    # bits are told by a few squares: elsewhere a value may lie above them
    return np.minimum(values.astype(np.float32) * (255 / (2**bits - 1)) + 0.5, 255).astype(np.uint8)


def to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """Scale floats in [0, 1] to 0..255."""
    low, high = values.min(), values.max()
    if np.isnan(low):
        raise ValueError(f"{name} holds NaN: want [0, 1], or uint8 of 0..255")
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name} holds floats from {low} to {high}: want [0, 1], or uint8 of 0..255")
    return np.rint(values * 255).astype(np.uint8)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Lay ``(y, x, 4)`` uint8, the last channel alpha, on white."""
    alpha = pixels[:, :, 3:].astype(np.float32) / 255
    return np.rint(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
