"""Slides of different groups that look alike: adjacent sections, or two scans of one section."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatialhist._sdata.slide import Slide

SIDE = 64
"""Pixels of the thumbnails along each side."""
DETAIL = 4.0
"""Standard deviation, in pixels of a thumbnail, of the blur that is taken off: the place of the tissue is no likeness."""
ALIKE = 0.5
"""Correlation from which two thumbnails are named."""


def warn_of_similar(slides: Sequence[Slide], assigned: dict[str, str]) -> None:
    """Name slides of different groups whose overviews look alike, in any of eight orientations.

    Parameters
    ----------
    slides
        The slides; those without an image are left out.
    assigned
        Group per slide.
    """
    looks = {s.name: thumbnail(s.image().pyramid.levels[-1]) for s in slides if s.pixel_hash}
    r, names = likenesses(list(looks.values())), list(looks)
    found = [(names[a], names[b], r[a, b]) for a, b in np.argwhere(np.triu(r > ALIKE, k=1))]
    alike = [f"{a!r} and {b!r} ({how:.2f})" for a, b, how in found if assigned[a] != assigned[b]]
    if alike:
        warnings.warn(
            f"slides of different groups look alike (correlation of their details): {', '.join(alike)}; if they are "
            "sections of one patient, scores look better than they are: put them into one group with groups=",
            stacklevel=4,
        )


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Details of an overview ``(3, y, x)``, resampled to a square: gray values without their blurred copy."""
    from scipy.ndimage import gaussian_filter
    from skimage.transform import resize

    gray = resize(np.asarray(pixels).mean(axis=0), (SIDE, SIDE), anti_aliasing=True)
    return gray - gaussian_filter(gray, DETAIL)


def likenesses(looks: Sequence[np.ndarray]) -> np.ndarray:
    """Highest correlation ``(n, n)`` over quarter turns and mirror images; 0 where one shows nothing."""
    if not looks:
        return np.zeros((0, 0))
    every = np.stack(looks)
    every = every - every.mean(axis=(1, 2), keepdims=True)
    length = np.linalg.norm(every, axis=(1, 2), keepdims=True)
    # what is left of a blank picture is rounding, which would correlate by chance
    every = np.where(length > 1e-6 * SIDE, every / np.maximum(length, 1e-300), 0)
    # sections may lie on the slide in any orientation, also turned over
    turned = (np.rot90(side, k, axes=(1, 2)) for side in (every, every.transpose(0, 2, 1)) for k in range(4))
    return np.max([_flat(every) @ _flat(t).T for t in turned], axis=0)


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1)
