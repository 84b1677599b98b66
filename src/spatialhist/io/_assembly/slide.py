"""Checks that every format shares, before a slide is built."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from spatialhist import _keys

if TYPE_CHECKING:
    from pathlib import Path

    from spatialdata import SpatialData

    from spatialhist._sdata.spots_on_image import SmallImage

OUTS = "outs"
MOST_LETTERS = 200
"""Of a slide id: names of files have 255, and end in what an element of the slide is."""


def make_slide(
    image: Any,
    xy: Any,
    counts: Any,
    *,
    slide: str,
    genes: Sequence[str],
    spot_ids: Any = None,
    mpp: float | None = None,
    pitch_px: float | None = None,
    spot_diameter_px: float | None = None,
    obs: pd.DataFrame | None = None,
    small: SmallImage | None = None,
    **rest: Any,
) -> SpatialData:
    """Check one slide and build it.

    The parameters are those of ``build_slide``, and a small copy of the image that positions were measured on.
    """
    from spatialhist._sdata.build import build_slide
    from spatialhist._sdata.images import image_size
    from spatialhist._sdata.lattice import lattice_pitch
    from spatialhist._sdata.spots_on_image import check_distance, check_spots, should_be_inside

    check_slide_id(slide)
    centers = check_centers(xy, slide)
    ids = None if spot_ids is None else check_spot_ids(spot_ids, len(centers), slide)
    values = check_counts(counts, len(centers), genes, slide)
    for name, length in {"mpp": mpp, "pitch_px": pitch_px, "spot_diameter_px": spot_diameter_px}.items():
        if length is not None and not (isinstance(length, Real) and 0 < length < np.inf):
            given = length if isinstance(length, Real) else repr(length)
            raise ValueError(f"{name} of slide {slide!r} is {given}: it must be positive, or None where unknown")
    # spots off the tissue may lie beyond the scan
    compared = centers[should_be_inside(None if obs is None else obs.get(_keys.IN_TISSUE), len(centers))]
    if image is not None:
        check_spots(
            compared, image_size(image), slide, _keys.image(slide), radius=(spot_diameter_px or 0) / 2, small=small
        )
    check_distance(pitch_px or lattice_pitch(centers), mpp, slide)
    return build_slide(
        image,
        centers,
        values,
        slide=slide,
        genes=genes,
        spot_ids=ids,
        mpp=mpp,
        pitch_px=pitch_px,
        spot_diameter_px=spot_diameter_px,
        obs=obs,
        **rest,
    )


def check_slide_id(slide: str) -> None:
    """Refuse a slide id that could not name an element.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        With an id that would do.
    """
    if not isinstance(slide, str):
        raise TypeError(f"slide id {slide!r} must be text, e.g. 'S{slide}'")
    if len(slide) > MOST_LETTERS:
        raise ValueError(
            f"slide id {slide[:20]!r}... has {len(slide)} letters, more than files can be called: give one of up to {MOST_LETTERS}"
        )
    if not slide or slide == _keys.TABLE or slide.startswith(("__", ".")) or _keys.sanitize(slide) != slide:
        better = _keys.sanitize(slide).strip("_.") or "S1"
        # else the advice would be refused for the same reason
        better += "_1" * (better == _keys.TABLE)
        raise ValueError(f"slide id {slide!r} must hold only letters, digits, '_', '.', '-'; try {better!r}")


def sample_id(path: Path) -> str:
    """Name of a sample's folder as a slide id; Space Ranger and Xenium Ranger call every folder ``outs``."""
    folder = path.resolve()
    name = folder.parent.name if folder.name == OUTS else folder.name
    return _keys.sanitize(name).strip("_.-") or "S1"


def check_centers(xy: Any, slide: str) -> np.ndarray:
    """Return spot centers as float ``(n, 2)``, all of them finite."""
    centers = _numbers(xy, f"xy of slide {slide!r}").astype(float)
    if centers.ndim != 2 or centers.shape[1] != 2 or not len(centers):
        raise ValueError(f"xy of slide {slide!r} has shape {centers.shape}; want (n, 2) with n > 0: x, y in pixels")
    lost = (~np.isfinite(centers).all(axis=1)).sum()
    if lost:
        raise ValueError(f"{lost} of {len(centers)} spots of slide {slide!r} have no finite position")
    return centers


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from error


def check_spot_ids(spot_ids: Any, n: int, slide: str) -> Any:
    """Return ids as integers or strings, one a spot, none twice."""
    ids = pd.Index(spot_ids)
    if len(ids) != n:
        raise ValueError(f"slide {slide!r} has {n} spots, but {len(ids)} spot ids")
    if ids.has_duplicates:
        raise ValueError(f"spot ids of slide {slide!r} repeat, e.g. {ids[ids.duplicated()][0]}")
    if ids.inferred_type not in ("integer", "string"):
        raise TypeError(f"spot ids of slide {slide!r} are {ids.inferred_type}: they must be integers or strings")
    return ids.to_numpy()


def check_counts(counts: Any, n: int, genes: Sequence[str], slide: str) -> Any:
    """Return float32 ``(n, genes)``, sparse as CSR; no value missing or negative."""
    if counts.shape != (n, len(genes)):
        raise ValueError(f"counts of slide {slide!r} have shape {counts.shape}; want {n} spots x {len(genes)} genes")
    names = pd.Index(genes)
    if names.has_duplicates:
        raise ValueError(f"genes of slide {slide!r} repeat, e.g. {names[names.duplicated()][0]}")
    values: Any = (
        sparse.csr_matrix(counts, dtype=np.float32)
        if sparse.issparse(counts)
        else _numbers(counts, f"counts of slide {slide!r}").astype(np.float32)
    )
    stored = values.data if sparse.issparse(values) else values
    bad = (~np.isfinite(stored)).sum()
    if bad:
        raise ValueError(f"{bad} counts of slide {slide!r} are missing or infinite")
    if (stored < 0).any():
        raise ValueError(f"counts of slide {slide!r} are negative, down to {stored.min():g}; give raw counts")
    return values
