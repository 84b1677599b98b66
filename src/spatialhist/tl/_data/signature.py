"""Recognize a picture of tissue after it was cropped, turned, mirrored, rescaled, re-encoded, recolored or padded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialhist._sdata.images import read_overview
from spatialhist.tl._data.similarity import Agreement, agree
from spatialhist.tl._data.unit_rows import unit_rows

if TYPE_CHECKING:
    from spatialhist._sdata.slide import Slide

SIDE = 512
"""Longer side, in pixels, of the overview that keypoints are found in."""
STEP = 2 ** (1 / 3)
"""Between the sizes of the overview at which keypoints are found."""
MIN_SIDE = 48
POINTS = 500
"""Keypoints of a picture, over all sizes; they take 36 kB."""
PATCH = 8
"""Samples along a descriptor."""
SPACING = 2.0
"""Between its samples, in pixels of the size that the keypoint was found at."""
MARGIN = 3
"""Pixels at the border without keypoints."""
ALIKE = 0.8
"""Correlation of two descriptors from which they may show the same."""
MIN_POINTS, MIN_SHARE = 30, 0.15
"""Keypoints in common, and their share, from which two pictures are of one section (`benchmarks/duplicates.py`)."""
TOLERANCE = 4.0
"""Pixels of the overview within which two keypoints lie at the same place."""


@dataclass(frozen=True)
class Signature:
    """Keypoints of a picture: where they lie, and what is around them.

    Attributes
    ----------
    points
        ``(n, 2)`` float32, x and y in pixels of the overview.
    descriptors
        ``(n, 64)`` int8: gray values around each, turned to its own direction, without their mean and contrast.
    """

    points: np.ndarray
    descriptors: np.ndarray

    def mirrored(self) -> Signature:
        """Signature of the mirror image: left and right swapped."""
        patches = self.descriptors.reshape(-1, PATCH, PATCH)[:, ::-1]
        return Signature(self.points * np.array([-1, 1], dtype=np.float32), patches.reshape(-1, PATCH**2))


@dataclass(frozen=True)
class Likeness:
    """How far two pictures show the same.

    Attributes
    ----------
    n
        Keypoints of the one that lie at the same place in the other and look the same there.
    share
        Of the keypoints of either that lie in what both show, where fewer.
    """

    n: int
    share: float

    @property
    def certain(self) -> bool:
        """Whether it is one section: adjacent ones have a few keypoints in common at most."""
        return self.n >= MIN_POINTS and self.share >= MIN_SHARE

    def __str__(self) -> str:
        return f"{self.n} keypoints of their tissue, {min(self.share, 1):.0%} of those in common, look the same"


def sign_slide(slide: Slide) -> Signature:
    """Find the keypoints of the tissue of a slide; frames that are printed on glass are on every slide."""
    # the finest level of less than twice the side: `_gray` shrinks it by half at most
    pixels, _ = read_overview(slide.image().pyramid, 2 * SIDE - 1)
    return sign(pixels, slide.tissue[0] if slide.has_tissue else None)


def sign(pixels: np.ndarray, tissue: np.ndarray | None = None) -> Signature:
    """Find the keypoints of an overview.

    Parameters
    ----------
    pixels
        ``(y, x, c)``.
    tissue
        Boolean ``(y, x)`` over the same picture, of any size; None for everywhere.
    """
    levels = list(_levels(_gray(pixels)))
    areas = np.array([level.size for level, _ in levels], dtype=float)
    # by area, so that keypoints of every size lie equally dense
    budgets = np.maximum(POINTS * areas / areas.sum(), 4).astype(int)
    where = np.ones((1, 1), dtype=bool) if tissue is None else tissue
    found = [_describe(level, factor, n, where) for (level, factor), n in zip(levels, budgets, strict=True)]
    return Signature(np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found]))


def _gray(pixels: np.ndarray) -> np.ndarray:
    """Gray values, shrunk to the size of an overview."""
    from skimage.transform import resize

    gray = np.asarray(pixels, dtype=np.float32).mean(axis=2)
    factor = SIDE / max(gray.shape)
    shape = [max(1, round(n * factor)) for n in gray.shape]
    return resize(gray, shape, order=1, anti_aliasing=factor < 1) if factor != 1 else gray


def _levels(gray: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """The overview in smaller and smaller sizes, with its pixels a pixel of each."""
    from skimage.transform import resize

    factor = 1.0
    while max(gray.shape) / factor >= MIN_SIDE:
        shape = [max(2, round(n / factor)) for n in gray.shape]
        yield (resize(gray, shape, order=1, anti_aliasing=True) if factor > 1 else gray), factor
        factor *= STEP


def _describe(level: np.ndarray, factor: float, n: int, tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and descriptors of the ``n`` most telling keypoints of one size."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    y, x = _corners(level, n, tissue)
    dy, dx = (gaussian_filter(level, 3.0, order=order)[y, x] for order in ((1, 0), (0, 1)))
    grid = (np.arange(PATCH) - (PATCH - 1) / 2) * SPACING
    # along the direction of the keypoint, and across it
    along, across = np.meshgrid(grid, grid)
    # the patch is turned to the gradient around the keypoint, so that turned pictures give equal descriptors
    turn = np.exp(1j * np.arctan2(dy, dx))[:, None]
    offsets = turn * (along + 1j * across).ravel()
    around = [y[:, None] + offsets.imag, x[:, None] + offsets.real]
    patches = map_coordinates(gaussian_filter(level, 1.0), around, order=1, mode="nearest")
    patches -= patches.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(patches, axis=1, keepdims=True)
    kept = norm[:, 0] > PATCH  # a gray value of deviation: less is glass
    # of 64 values of length 1 the typical one becomes 50, so that int8 holds 2.5 deviations
    descriptors = np.rint(patches[kept] / norm[kept] * 400).clip(-127, 127).astype(np.int8)
    return (np.column_stack([x, y])[kept] * factor).astype(np.float32), descriptors


def _corners(level: np.ndarray, n: int, tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the points at which gray values change most in every direction."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    gy, gx = (gaussian_filter(level, 1.0, order=order) for order in ((1, 0), (0, 1)))
    yy, xx, xy = (gaussian_filter(g, 2.0) for g in (gy * gy, gx * gx, gy * gx))
    # determinant over trace (Noble 1988), which leaves no weight to be chosen
    response = (yy * xx - xy * xy) / (yy + xx + 1e-6)
    peak = (response == maximum_filter(response, 7)) & (response > 0)
    peak[:MARGIN], peak[-MARGIN:], peak[:, :MARGIN], peak[:, -MARGIN:] = False, False, False, False
    y, x = np.nonzero(peak)
    on = tissue[y * tissue.shape[0] // level.shape[0], x * tissue.shape[1] // level.shape[1]]
    y, x = y[on], x[on]
    best = np.argsort(-response[y, x], kind="stable")[:n]
    return y[best], x[best]


def compare(a: Signature, b: Signature) -> Likeness:
    """Compare two pictures, one of them as it is and mirrored."""
    return max((_compare(a, other) for other in (b, b.mirrored())), key=lambda found: (found.n * found.share, found.n))


def _compare(a: Signature, b: Signature) -> Likeness:
    here, there = _matches(a.descriptors, b.descriptors)
    p, q = _complex(a.points), _complex(b.points)
    agreed = agree(p[here], q[there], TOLERANCE)
    if agreed is None:
        return Likeness(0, 0.0)
    common = _in_common(p, q, agreed)
    return Likeness(agreed.n, agreed.n / max(common, 1))


def _matches(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of descriptors that are each other's best, and alike."""
    if not (len(a) and len(b)):
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    r = unit_rows(a) @ unit_rows(b).T
    best, back = r.argmax(axis=1), r.argmax(axis=0)
    here = np.flatnonzero((back[best] == np.arange(len(a))) & (r.max(axis=1) > ALIKE))
    return here, best[here]


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0].astype(float) + 1j * points[:, 1]


def _in_common(p: np.ndarray, q: np.ndarray, agreed: Agreement) -> int:
    """Keypoints that lie where the other picture has some, the fewer of the two."""
    return min(_inside(agreed.to_second(p), q), _inside(agreed.to_first(q), p))


def _inside(points: np.ndarray, box: np.ndarray) -> int:
    x = (points.real >= box.real.min()) & (points.real <= box.real.max())
    y = (points.imag >= box.imag.min()) & (points.imag <= box.imag.max())
    return int((x & y).sum())
