"""Share of discs that lies on a mask."""

from __future__ import annotations

import math

import numba as nb
import numpy as np


def disc_share(mask: np.ndarray, xy: np.ndarray, radius: float, pixel: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Integrate a mask over discs, exactly: every pixel counts with the area that the disc covers of it.

    Parameters
    ----------
    mask
        Boolean ``(y, x)``; outside of it nothing is covered.
    xy
        Centers ``(n, 2)``, (x, y); pixel (i, j) of the mask covers [j, j + 1) x [i, i + 1) times ``pixel``.
    radius
        Radius of the discs, in the units of ``xy``.
    pixel
        Width and height of a mask pixel, in the units of ``xy``.

    Returns
    -------
    ndarray
        ``(n,)``, 0 to 1; NaN for centers that are not finite.
    """
    centers = np.ascontiguousarray(xy, dtype=np.float64)
    return _integrate(np.ascontiguousarray(mask, dtype=np.bool_), centers, float(radius), *map(float, pixel))


@nb.njit(cache=True, nogil=True)
def _integrate(mask, xy, radius, width, height):  # pragma: no cover
    """Relies on nothing of ``xy``: the loops end at the borders of the mask, wherever centers lie."""
    share = np.full(len(xy), np.nan)
    for k in range(len(xy)):
        x, y = xy[k]
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        area = 0.0
        for i in range(max(0, int((y - radius) // height)), min(mask.shape[0], int((y + radius) // height) + 1)):
            for j in range(max(0, int((x - radius) // width)), min(mask.shape[1], int((x + radius) // width) + 1)):
                if mask[i, j]:
                    left, top = j * width - x, i * height - y
                    area += _pixel_area(left, left + width, top, top + height, radius)
        # the areas of many pixels add up to more than the disc by rounding
        share[k] = min(1.0, area / (math.pi * radius**2))
    return share


@nb.njit(cache=True, nogil=True)
def _pixel_area(left, right, top, bottom, radius):  # pragma: no cover
    """Area of a rectangle within the disc around the origin."""
    far = max(abs(left), abs(right)) ** 2 + max(abs(top), abs(bottom)) ** 2
    if far <= radius**2:
        return (right - left) * (bottom - top)
    near = max(left, -right, 0.0) ** 2 + max(top, -bottom, 0.0) ** 2
    if near >= radius**2:
        return 0.0
    upper = _corner_area(right, bottom, radius) - _corner_area(left, bottom, radius)
    return upper - _corner_area(right, top, radius) + _corner_area(left, top, radius)


@nb.njit(cache=True, nogil=True)
def _corner_area(x, y, radius):  # pragma: no cover
    """Area of the disc left of ``x`` and above ``y`` (that is, with smaller coordinates)."""
    x = min(max(x, -radius), radius)
    y = min(max(y, -radius), radius)
    half = math.sqrt(radius**2 - y**2)
    inner = min(max(x, -half), half)
    # between -half and half a column of the disc ends at y; outside it is whole (y > 0) or absent (y <= 0)
    area = y * (inner + half) + _half_chords(-half, inner, radius)
    if y > 0:
        area += 2 * _half_chords(-radius, min(x, -half), radius) + 2 * _half_chords(half, max(x, half), radius)
    return area


@nb.njit(cache=True, nogil=True)
def _half_chords(start, stop, radius):  # pragma: no cover
    """Integral of sqrt(radius^2 - u^2) from ``start`` to ``stop``."""
    return _primitive(stop, radius) - _primitive(start, radius)


@nb.njit(cache=True, nogil=True)
def _primitive(u, radius):  # pragma: no cover
    # rounding takes u beyond the radius, where neither root nor angle is defined
    return (u * math.sqrt(max(radius**2 - u**2, 0.0)) + radius**2 * math.asin(min(max(u / radius, -1.0), 1.0))) / 2
