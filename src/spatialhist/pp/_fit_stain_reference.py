"""A stain reference from slides of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialhist import _keys
from spatialhist._runtime.checks import check_choice
from spatialhist._sdata.cohort import open_images
from spatialhist.pp._stain.fit import StainError, fit_pixels, fit_stain
from spatialhist.pp._stain.reference import StainMethod, StainReference
from spatialhist.pp._tissue.masked_blocks import nearest

if TYPE_CHECKING:
    from spatialdata import SpatialData

POOLED_PIXELS = 20_000
"""Tissue pixels that each slide puts into a pooled reference."""


def fit_stain_reference(
    sdata: SpatialData,
    *,
    slides: str | Sequence[str] | None = None,
    method: StainMethod = "macenko",
    image: str | None = None,
    seed: int = 0,
    table_key: str = _keys.TABLE,
) -> StainReference:
    """Fit a stain reference on the tissue of one slide, or of several, pooled in equal parts.

    Parameters
    ----------
    sdata
        The cohort; its slides need a tissue mask.
    slides
        Slide ids; all if None.
    method
        ``"macenko"``, ``"vahadane"`` or ``"reinhard"``.
    image
        None for the H&E image, ``"masked"``, or a key with ``{slide}`` for the slide id.
    seed
        Draws the pixels where several slides are pooled.
    table_key
        The table.

    Returns
    -------
    StainReference
        Its ``fitted_on`` names the slides; ``save`` writes it as JSON.

    Raises
    ------
    KeyError
        If a slide, an image or a tissue mask is missing.
    ValueError
        If the tissue does not look like hematoxylin and eosin.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1, size_px=(300, 400), n_genes=20, seed=0)
    >>> sh.pp.mask_background(sdata)
    >>> sh.pp.fit_stain_reference(sdata).fitted_on
    ('S1',)
    """
    check_choice("method", method, StainMethod)
    cohort = open_images(sdata, slides, table_key=table_key)
    samples = [fit_pixels(slide, image) for slide in cohort.every_slide()]
    pixels, tissue = samples[0] if len(samples) == 1 else _pool(samples, seed)
    try:
        fitted = fit_stain(pixels, tissue, method)
    except StainError as error:
        raise ValueError(f"no {method} reference from slides {cohort.slides}: {error}") from error
    hashes = tuple(slide.pixel_hash for slide in cohort.every_slide() if slide.pixel_hash)
    return StainReference(**{**vars(fitted), "fitted_on": tuple(cohort.slides), "pixel_hashes": hashes})


def _pool(samples: list[tuple[np.ndarray, np.ndarray]], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw equally many tissue pixels from each slide, as an image one pixel wide."""
    rng = np.random.default_rng(seed)
    tissues = [pixels[_enlarged(tissue, pixels.shape[:2])] for pixels, tissue in samples]
    n = min(POOLED_PIXELS, *map(len, tissues))
    pooled = np.concatenate([t[rng.choice(len(t), n, replace=False)] for t in tissues])
    return pooled[:, None], np.ones((len(pooled), 1), dtype=bool)


def _enlarged(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = (nearest(0, n, n / m, m) for n, m in zip(shape, mask.shape, strict=True))
    return mask[rows][:, columns]
