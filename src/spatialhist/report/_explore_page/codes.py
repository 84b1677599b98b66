"""Numbers as text of a page: quantized, compressed, in base64."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

MAX_PRECISE = 12_000_000
"""Numbers up to which a page of 16 bits each stays within a few ten megabytes."""
LEVEL = 6
"""Of compression: more takes several times as long and saves a few percent."""
TYPES = {8: "u1", 16: "<u2"}


def choose_bits(n: int) -> int:
    """Bits a number, by how many numbers the page holds."""
    return 16 if n <= MAX_PRECISE else 8


def encode(values: np.ndarray, bits: int) -> list[Any]:
    """Bring numbers to whole numbers of a few bits.

    Parameters
    ----------
    values
        ``(n,)``; what is not finite is kept as unknown.
    bits
        8 or 16.

    Returns
    -------
    list
        Low, high and text. The text is base64 of zlib of little-endian codes: the highest code is unknown, and the others
        divide the range from low to high evenly, so that a number is off by less than a step.
    """
    top = 2**bits - 2
    known = np.isfinite(values)
    low, high = (float(f(values[known])) for f in (np.min, np.max)) if known.any() else (0.0, 0.0)
    codes = np.full(len(values), top + 1, dtype=TYPES[bits])
    codes[known] = np.rint((values[known].astype(float) - low) / ((high - low) or 1.0) * top)
    return [low, high, as_text(codes.tobytes())]


def as_text(data: bytes) -> str:
    """Bytes compressed, in base64."""
    return base64.b64encode(zlib.compress(data, LEVEL)).decode()
