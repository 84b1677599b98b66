"""The H&E image of a Xenium slide, and whether it belongs to what was measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialhist import _keys
from spatialhist._sdata.spots_on_image import is_grave, misfit
from spatialhist.io._images.image_file import MPP_RANGE, read_mpp
from spatialhist.io._xenium_files.alignment import read_alignment
from spatialhist.io._xenium_files.files import alignment_names, find_alignment, find_he_image, pixel_size

if TYPE_CHECKING:
    from spatialhist.io._xenium_files.alignment import Alignment
    from spatialhist.io._xenium_files.files import XeniumFiles

SAME_SCALE = 1.25
"""Factor between pixel sizes of an image and its alignment, up to which both may be right."""


@dataclass(frozen=True)
class HeImage:
    """An image and where it lies.

    Attributes
    ----------
    path
        Of the image.
    alignment
        From its pixels to micrometers.
    pixel_size
        Micrometers per pixel of the morphology image.
    """

    path: Path
    alignment: Alignment
    pixel_size: float

    def check(self, centers_um: np.ndarray, radius_um: float, pixels: Any, slide: str) -> None:
        """Compare the image with spots that are to lie on it.

        Raises
        ------
        ValueError
            If more than a tenth of the spots lie outside.

        Warns
        -----
        UserWarning
            If the image says another scale than its alignment.
        """
        size = pixels.shape[2], pixels.shape[1]
        fits = partial(self._fits, centers_um, radius_um)
        if not fits(self.alignment, size):
            xy, radius = self.alignment.to_pixels(centers_um), radius_um / self.alignment.mpp
            outside = misfit(xy, size, slide, _keys.image(slide), radius=radius).split(": ")[0]
            raise ValueError(f"{outside}: {self._mistake(fits, size)}")
        self._compare_scale()

    @staticmethod
    def _fits(centers_um: np.ndarray, radius_um: float, alignment: Alignment, size: tuple[int, int]) -> bool:
        return not is_grave(alignment.to_pixels(centers_um), size, radius_um / alignment.mpp)

    def _mistake(self, fits: Callable[[Alignment, tuple[int, int]], bool], size: tuple[int, int]) -> str:
        source = self.alignment.source
        # by trying: what makes the spots fit is what went wrong
        if fits(self.alignment.inverted(self.pixel_size), size):
            return (
                f"{source} is inverted. It must lead from pixels of the H&E image to pixels of the morphology image: choose the "
                "H&E image as the one to be aligned in Xenium Explorer, or invert the matrix"
            )
        for name, other in (
            ("a copy, turned by a quarter,", size[::-1]),
            ("a smaller copy", (4 * size[0], 4 * size[1])),
        ):
            if fits(self.alignment, other):
                return f"{self.path} may be {name} of the image that {source} was made for: give that one as image="
        return f"{self.path} or {source} belongs to another slide: give both of this one, image= and alignment="

    def _compare_scale(self) -> None:
        try:
            recorded = read_mpp(self.path)
        except (ImportError, ValueError):
            return
        found = self.alignment.mpp
        if recorded is None or not MPP_RANGE[0] <= recorded <= MPP_RANGE[1]:
            return
        if not 1 / SAME_SCALE < found / recorded < SAME_SCALE:
            warnings.warn(
                f"{self.path} says {recorded:.4g} um per pixel, but by {self.alignment.source} a pixel has {found:.4g} um, which are "
                "taken: the alignment is inverted, or was made for another copy of the image",
                stacklevel=5,
            )


def find_image(files: XeniumFiles, image: Path | None, alignment: Path | None) -> HeImage | None:
    """The image that is given, or that lies in the folder beside its alignment; None where there is none.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, or holds no alignment.
    """
    if image is None and alignment is not None:
        raise ValueError(f"alignment={str(alignment)!r} is of an H&E image: give that too, as image=")
    found = find_he_image(files.folder) if image is None else (image, alignment or find_alignment(image))
    if found is None:
        return None
    path, source = found
    if not path.is_file():
        raise FileNotFoundError(f"no image {path}")
    if source is None:
        raise FileNotFoundError(
            f"where {path} lies on the slide is unknown, since there is no file {alignment_names(path)[0]} beside it: give the matrix or "
            "the landmarks that Xenium Explorer exports, as alignment="
        )
    scale = pixel_size(files)
    return HeImage(path, read_alignment(source, scale), scale)
