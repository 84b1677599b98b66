"""Slides of different groups that look alike: adjacent sections, or two scans of one section."""

from __future__ import annotations

import itertools
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
    alike = [
        f"{a!r} and {b!r} ({r:.2f})"
        for a, b in itertools.combinations(looks, 2)
        if assigned[a] != assigned[b] and (r := likeness(looks[a], looks[b])) > ALIKE
    ]
    if alike:
        warnings.warn(
            f"slides of different groups look alike (correlation of their details): {', '.join(alike)}; if they are "
            "sections of one patient, scores look better than they are: put them into one group with groups=",
            UserWarning,
            stacklevel=4,
        )


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Details of an overview ``(3, y, x)``, resampled to a square: gray values without their blurred copy."""
    from scipy.ndimage import gaussian_filter
    from skimage.transform import resize

    gray = resize(np.asarray(pixels).mean(axis=0), (SIDE, SIDE), anti_aliasing=True)
    return gray - gaussian_filter(gray, DETAIL)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Highest correlation over quarter turns and mirror images; 0 where one shows nothing."""
    # what is left of a blank picture is rounding, which would correlate by chance
    if not (a.std() > 1e-6 and b.std() > 1e-6):
        return 0.0
    turned = [np.rot90(side, k) for side in (b, b.T) for k in range(4)]
    return float(max(np.corrcoef(a.ravel(), t.ravel())[0, 1] for t in turned))
