"""Recolouring uint8 pixels in one pass; pure arrays.

Numba compiles the loops on first use and keeps the result on disk. They release the GIL, so dask runs blocks in
parallel.
"""

from __future__ import annotations

import numba
import numpy as np

from spatialhist.pp._tissue.masked_blocks import has_tissue


def basis_tables(operator: np.ndarray, white_point: np.ndarray) -> np.ndarray:
    """Tabulate a linear change of optical densities.

    With ``d_k = -log((x_k + 1) / (w_k + 1))`` the new intensity is
    ``(w_c + 1) * exp(-sum_k operator[c, k] * d_k) - 1``, a product of one factor per input channel.

    Returns
    -------
    ndarray
        Factors ``(3, 3, 256)``: output channel, input channel, input intensity.
    """
    # 1 is added to every intensity, since black has no logarithm
    log = np.log((np.arange(256) + 1) / (white_point[:, None] + 1))
    tables = np.exp(operator[:, :, None] * log[None])
    tables[:, 0] *= white_point[:, None] + 1
    return tables


def recolor_basis(
    block: np.ndarray, mask: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, tables: np.ndarray
) -> np.ndarray:
    """Recolour the tissue of a block ``(3, y, x)`` by :func:`basis_tables`."""
    if not has_tissue(mask, rows, columns):
        return block
    out = block.copy()
    _multiply(out, mask, rows, columns, tables)
    return out


def recolor_lab(
    block: np.ndarray,
    mask: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    *,
    to_lms: np.ndarray,
    slope: np.ndarray,
    intercept: np.ndarray,
) -> np.ndarray:
    """Recolour the tissue of a block ``(3, y, x)`` by a linear map of log lms."""
    if not has_tissue(mask, rows, columns):
        return block
    out = block.copy()
    arrays = [np.ascontiguousarray(a, dtype=np.float32) for a in (to_lms, slope, intercept, np.linalg.inv(to_lms))]
    _transfer(out, mask, rows, columns, *arrays)
    return out


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _multiply(block, mask, rows, columns, tables):  # type: ignore[no-untyped-def]
    """Recolor in place; relies on a block of uint8, tables ``(3, 3, 256)``, and a row and column of the mask for each of the block's."""
    for y in range(block.shape[1]):
        for x in range(block.shape[2]):
            if mask[rows[y], columns[x]]:
                r, g, b = block[0, y, x], block[1, y, x], block[2, y, x]
                for c in range(3):
                    # less the 1 that was added to every intensity, but half a step more: the cast to uint8 cuts off
                    value = tables[c, 0, r] * tables[c, 1, g] * tables[c, 2, b] - 0.5
                    block[c, y, x] = np.uint8(min(max(value, 0.0), 255.0))


@numba.njit(nogil=True, cache=True, fastmath=True)
def _transfer(block, mask, rows, columns, to_lms, slope, intercept, to_rgb):  # type: ignore[no-untyped-def]
    """Recolor in place; relies on matrices ``(3, 3)``, and on a row and column of the mask for each of the block's."""
    one, half, white = np.float32(1), np.float32(0.5), np.float32(255)
    log, lms = np.empty(3, np.float32), np.empty(3, np.float32)
    for y in range(block.shape[1]):
        for x in range(block.shape[2]):
            if mask[rows[y], columns[x]]:
                r, g, b = np.float32(block[0, y, x]), np.float32(block[1, y, x]), np.float32(block[2, y, x])
                for k in range(3):
                    log[k] = np.log(to_lms[k, 0] * r + to_lms[k, 1] * g + to_lms[k, 2] * b + one)
                for k in range(3):
                    lms[k] = np.exp(slope[k, 0] * log[0] + slope[k, 1] * log[1] + slope[k, 2] * log[2] + intercept[k])
                    lms[k] -= one
                for c in range(3):
                    value = to_rgb[c, 0] * lms[0] + to_rgb[c, 1] * lms[1] + to_rgb[c, 2] * lms[2] + half
                    block[c, y, x] = np.uint8(min(max(value, np.float32(0)), white))
