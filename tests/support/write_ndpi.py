"""Write a TIFF as Hamamatsu does: 64-bit offsets, a JPEG a page, cut by restart markers that a tag lists."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

SHORT, LONG, FLOAT = 3, 4, 11


def write_ndpi(path: Path, pages: list[tuple[np.ndarray, float, float]], *, blocks: int) -> None:
    """Write pages of pixels ``(y, x, 3)``, micrometers per pixel and magnification; -1 of the overview.

    Sides are multiples of 8, and ``blocks`` squares of 8 lie between two restart markers.
    """
    body = bytearray(b"II\x2a\x00" + bytes(8))
    link = 4
    for pixels, mpp, lens in pages:
        tags = _tags(body, pixels, mpp, lens, blocks)
        struct.pack_into("<Q", body, link, len(body))
        body += struct.pack("<H", len(tags))
        for tag in tags:
            body += struct.pack("<HHII", *tag)
        link = len(body)
        body += bytes(8 + 4 * len(tags))
    path.write_bytes(body)


def _tags(body: bytearray, pixels: np.ndarray, mpp: float, lens: float, blocks: int) -> list[tuple[int, ...]]:
    data = _jpeg(pixels, blocks)
    start, starts = _put(body, data), _restarts(data)
    (height, width), scale = pixels.shape[:2], _put(body, struct.pack("<II", round(1e7 / mpp), 1000))
    found = [
        (256, LONG, 1, width), (257, LONG, 1, height), (258, SHORT, 3, _put(body, struct.pack("<HHH", 8, 8, 8))),
        (259, SHORT, 1, 7), (262, SHORT, 1, 6), (271, 2, 10, _put(body, b"Hamamatsu\0")), (273, LONG, 1, start),
        (277, SHORT, 1, 3), (278, LONG, 1, height), (279, LONG, 1, len(data)), (282, 5, 1, scale), (283, 5, 1, scale),
        (284, SHORT, 1, 1), (296, SHORT, 1, 3), (65420, LONG, 1, 1),
        (65421, FLOAT, 1, struct.unpack("<I", struct.pack("<f", lens))[0]),
        (65426, LONG, len(starts), _put(body, struct.pack(f"<{len(starts)}I", *starts))),
    ]  # fmt: skip
    return found if lens > 0 else found[:-1]


def _put(body: bytearray, data: bytes) -> int:
    start = len(body)
    body += data + bytes(len(data) % 2)
    return start


def _jpeg(pixels: np.ndarray, blocks: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling=0, restart_marker_blocks=blocks)
    return out.getvalue()


def _restarts(data: bytes) -> list[int]:
    scan = data.index(b"\xff\xda")
    first = scan + 2 + struct.unpack(">H", data[scan + 2 : scan + 4])[0]
    marks = [i + 2 for i in range(first, len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    return [first, *marks]
