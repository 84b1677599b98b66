"""Decoded pixels in a temporary file rather than in memory."""

from __future__ import annotations

import mmap
import os
import tempfile
import warnings

import numpy as np

KEPT_BYTES = 8_000_000
"""Up to as many stay in memory: files cost more than they save."""
_ROWS = 1024


def spooled(pixels: np.ndarray, name: str) -> np.ndarray:
    """Move pixels ``(c, y, x)`` to a file without a name, which goes with the array that reads from it.

    Warns
    -----
    UserWarning
        If there is no space for the file; pixels stay in memory then.
    """
    # Windows removes no file that is mapped
    if pixels.nbytes <= KEPT_BYTES or os.name == "nt":
        return pixels
    rows = np.moveaxis(pixels, 0, -1)
    try:
        with tempfile.TemporaryFile() as file:
            for top in range(0, len(rows), _ROWS):
                # written and not mapped: a map of a full disk would end the process
                file.write(np.ascontiguousarray(rows[top : top + _ROWS]).data)
            file.flush()
            # no numpy.memmap: joblib would hand workers the name of its file, and this one has none
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        warnings.warn(
            f"{name} stays in memory, since {tempfile.gettempdir()} has no space for {pixels.nbytes / 1e6:,.0f} MB of decoded "
            f"pixels ({error}): read slides into a store, store=, or set TMPDIR to a folder of a larger disk",
            stacklevel=2,
        )
        return pixels
    held = np.frombuffer(mapped, dtype=pixels.dtype).reshape(rows.shape)
    return np.moveaxis(held, -1, 0)
