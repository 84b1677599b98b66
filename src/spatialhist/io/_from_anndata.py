"""Slides from an AnnData, as squidpy and scanpy make them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist import _keys

if TYPE_CHECKING:
    from anndata import AnnData
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def from_anndata(
    adata: AnnData,
    image: Any = None,
    *,
    library: str | Sequence[str] | None = None,
    slide: str | Mapping[str, str] | None = None,
    patient: str | Mapping[str, str] | None = None,
    mpp: float | Mapping[str, float] | None = None,
    store: str | Path | None = None,
) -> SpatialData:
    """Make slides from an AnnData of squidpy or scanpy and the H&E image of each.

    Parameters
    ----------
    adata
        Spots x genes. ``obsm["spatial"]`` holds x and y of every spot in pixels of the image. Spots of several slides are
        told apart by ``obs["library_id"]``, or by another column that holds the keys of ``uns["spatial"]``.
    image
        H&E image that positions were measured on: path of a file, pixels ``(y, x, 3)``, a slide from :func:`read_wsi`, or
        an image element. Of several libraries a dict from library to image. None to take the small picture in
        ``uns["spatial"][library]["images"]``, on which positions are scaled.
    library
        Libraries to take; all if None.
    slide
        Slide id, or a dict from library to slide id; the names of the libraries if None.
    patient
        Patient id, or a dict from library to patient id; ``obs["patient"]`` where there is one if None.
    mpp
        Micrometers per pixel of positions, or a dict of them. If None, those of a slide from :func:`read_wsi`, of the scale
        factors in ``uns["spatial"]``, of Visium, whose spots are 100 µm apart, or of the image file.
    store
        New zarr store to write to. TIFF files are decoded into it square by square, never as a whole.

    Returns
    -------
    SpatialData
        The slides with ``X``, ``obs``, ``var``, ``obsm`` and ``layers``; barcodes are in ``obs["spot_id"]``. Sparse
        matrices stay sparse. Counts in ``raw`` become ``layers["counts"]`` where ``X`` holds none. ``obsp`` and ``uns`` are
        left out, except for the mark that ``X`` holds logarithms. ``adata`` is not changed.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData.
    KeyError
        If it has no positions, or no spots of a library that is named.
    FileNotFoundError, FileExistsError
        If an image is missing, or the store exists.
    ValueError
        If nothing says which library a spot belongs to, a library has no image, or more than a tenth of its spots lie
        outside of the image.

    Warns
    -----
    UserWarning
        If a small picture stands for the image, names are changed, or image, positions and scale do not fit each other.

    Examples
    --------
    >>> import anndata as ad, numpy as np, spatialhist as sh
    >>> adata = ad.AnnData(np.array([[3, 0], [1, 5]]), obsm={"spatial": np.array([[20, 30], [40, 30]])})
    >>> adata.obs_names, adata.var_names = ["AAC-1", "TTG-1"], ["ERBB2", "FASN"]
    >>> image = np.full((60, 80, 3), 255, dtype=np.uint8)
    >>> sdata = sh.io.from_anndata(adata, image, slide="S1", mpp=0.5)
    >>> sdata["table"].to_df()
              ERBB2  FASN
    S1_AAC-1    3.0   0.0
    S1_TTG-1    1.0   5.0
    """
    from spatialhist.io._anndata.contents import look_at
    from spatialhist.io._anndata.libraries import choose, find_libraries, per_library, slide_ids
    from spatialhist.io._anndata.pictures import open_picture
    from spatialhist.io._anndata.slide import build_part
    from spatialhist.io._assembly.cohort import assemble, check_new
    from spatialhist.io._assembly.slide import check_slide_id

    check_new(store)
    table = look_at(adata)
    libraries = choose(find_libraries(adata), library)
    ids = slide_ids(libraries, slide)
    for one in ids:
        check_slide_id(one)
    images, patients, scales = (
        per_library(libraries, v, n) for v, n in ((image, "image"), (patient, "patient"), (mpp, "mpp"))
    )
    _check_images(images, image, [one.name for one in libraries])
    if wrong := [(name, um) for name, um in zip(ids, scales, strict=True) if not isinstance(um, Real | None)]:
        raise ValueError(f"mpp of slide {wrong[0][0]!r} is {wrong[0][1]!r}: it must be positive, or None where unknown")
    parts = (
        build_part(table, one, open_picture(one, picture, lazy=store is not None), slide=name, patient=whose, mpp=um)
        for one, name, picture, whose, um in zip(libraries, ids, images, patients, scales, strict=True)
    )
    sdata = assemble(parts, store)
    logger.info("made slides %s with %d spots and %d genes", ids, *sdata[_keys.TABLE].shape)
    return sdata


def _check_images(images: Sequence[Any], given: Any, libraries: Sequence[str | None]) -> None:
    """Refuse one image for several slides, and files that are not there, before the first slide is made."""
    if len(libraries) > 1 and given is not None and not isinstance(given, Mapping):
        raise ValueError(
            f"adata has the libraries {list(libraries)}, of one image each: give image= a dict from library to image, or "
            "choose one with library="
        )
    if isinstance(given, Mapping) and (missing := [name for name in libraries if name not in given]):
        raise ValueError(
            f"image has none for the libraries {missing}: give each an image, None for its small picture, or choose others "
            "with library="
        )
    for image in images:
        if isinstance(image, str | Path) and not Path(image).is_file():
            raise FileNotFoundError(f"no image {image}")
