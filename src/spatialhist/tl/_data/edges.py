"""Recognize parts that one picture was cut into: across the cut, gray values go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spatialhist._sdata.images import Pyramid

SIDE = 2048
"""Longer side, in pixels, of the level that edges are read from."""
DEPTH = 2
"""Pixels across an edge that are averaged."""
SAMPLES = 256
"""Samples along an edge."""
DETAIL = 6.0
"""Standard deviation, in samples, of the blur that is taken off."""
LAGS = 4
"""Samples that two edges may be shifted along each other."""
SAME_LENGTH = 0.03
"""Difference of the lengths of edges that may be one cut."""
SEGMENTS, MIN_TELLING, MIN_DEVIATION = 8, 4, 1.5
"""Segments of an edge, how many of them must differ by more than this from their blur: glass goes on everywhere."""


@dataclass(frozen=True)
class Edge:
    """One side of a picture.

    Attributes
    ----------
    length
        In full-resolution pixels.
    middle
        Details along it without its ends, of all channels, of unit length.
    shifted
        The same from either end and shifted along it, one a row.
    """

    length: float
    middle: np.ndarray
    shifted: np.ndarray


def edges_of(pyramid: Pyramid) -> list[Edge]:
    """Return the edges of an image; those along which there is only glass are left out."""
    level, factor = _level(pyramid)
    strips = [(level[:, :DEPTH], 1), (level[:, -DEPTH:], 1), (level[:, :, :DEPTH], 2), (level[:, :, -DEPTH:], 2)]
    return list(_telling((np.asarray(strip).mean(axis=across) for strip, across in strips), factor))


def _level(pyramid: Pyramid) -> tuple[np.ndarray, float]:
    sizes = [max(level.shape[1:]) for level in pyramid.levels]
    i = next((i for i, size in enumerate(sizes) if size <= SIDE), len(sizes) - 1)
    return pyramid.levels[i], max(pyramid.factors[i])


def _telling(lines: Iterator[np.ndarray], factor: float) -> Iterator[Edge]:
    for line in lines:
        details = _details(line)
        if sum(part.std() > MIN_DEVIATION for part in np.split(details.mean(axis=0), SEGMENTS)) >= MIN_TELLING:
            n = SAMPLES - 2 * LAGS
            # the cut may be read in either direction, where one part was turned or mirrored
            ways = (details, details[:, ::-1])
            shifted = [_unit(way[:, lag : lag + n]) for way in ways for lag in range(2 * LAGS + 1)]
            yield Edge(line.shape[1] * factor, _unit(details[:, LAGS:-LAGS]), np.stack(shifted))


def _details(line: np.ndarray) -> np.ndarray:
    """Each channel ``(c, n)`` as so many samples, without its blurred copy."""
    from scipy.ndimage import gaussian_filter1d

    n = line.shape[1]
    # blurred by half a sample before it is thinned out, so that fine structure does not alias
    smooth = gaussian_filter1d(line.astype(float), max(0.5 * n / SAMPLES, 1e-3), axis=1)
    at = (np.arange(SAMPLES) + 0.5) * n / SAMPLES - 0.5
    values = np.stack([np.interp(at, np.arange(n), channel) for channel in smooth])
    return values - gaussian_filter1d(values, DETAIL, axis=1)


def _unit(values: np.ndarray) -> np.ndarray:
    """One row, so that products are correlations, mean over channels; flat channels count as 0."""
    centered = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centered, axis=1, keepdims=True) * np.sqrt(len(values))
    return (centered / np.where(length > 0, length, 1)).ravel()


def continuities(pictures: Sequence[Sequence[Edge]]) -> np.ndarray:
    """Highest correlation of an edge of one picture with one of a later picture; 0 where none are of one length.

    Returns
    -------
    numpy.ndarray
        ``(n, n)``, above the diagonal.
    """
    found = np.zeros((len(pictures), len(pictures)))
    before: list[Edge] = []
    of = np.repeat(np.arange(len(pictures)), [len(edges) for edges in pictures])
    for i, edges in enumerate(pictures):
        for width in {len(edge.middle) for edge in edges}:
            known = [k for k, edge in enumerate(before) if len(edge.middle) == width]
            if known:
                np.maximum.at(found[:, i], of[known], _best([before[k] for k in known], edges))
        before += edges
    return found


def _best(earlier: Sequence[Edge], edges: Sequence[Edge]) -> np.ndarray:
    """Highest correlation of each earlier edge with edges of its length."""
    middles, lengths = np.stack([e.middle for e in earlier]), np.array([e.length for e in earlier])
    rows = [
        np.where(_same_length(lengths, edge.length), (edge.shifted @ middles.T).max(axis=0), 0)
        for edge in edges
        if len(edge.middle) == middles.shape[1]
    ]
    return np.max(rows, axis=0)


def _same_length(lengths: np.ndarray, other: float) -> np.ndarray:
    return np.abs(lengths - other) <= SAME_LENGTH * np.maximum(lengths, other)
