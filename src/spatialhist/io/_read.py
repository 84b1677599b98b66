"""Read whatever a path holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist import _keys
from spatialhist._runtime.files import new_folder, reason
from spatialhist._sdata.compat import quiet
from spatialhist.io._anndata.h5ad import read_h5ad
from spatialhist.io._anndata.libraries import COLUMN as LIBRARY
from spatialhist.io._assembly.cohort import open_store
from spatialhist.io._assembly.slide import sample_id
from spatialhist.io._challenge import read_challenge
from spatialhist.io._from_anndata import from_anndata
from spatialhist.io._hest import read_hest
from spatialhist.io._hest1k.samples import is_hest
from spatialhist.io._space_ranger.elsewhere import what_it_may_be
from spatialhist.io._space_ranger.hd_layout import hd_mark, read_layout
from spatialhist.io._space_ranger.unread import refuse_unread
from spatialhist.io._st import read_st
from spatialhist.io._visium import read_visium
from spatialhist.io._visium_hd import read_visium_hd
from spatialhist.io._wsi import read_wsi
from spatialhist.io._xenium import read_xenium
from spatialhist.io._xenium_files.files import is_xenium, only_cells

if TYPE_CHECKING:
    from spatialdata import SpatialData

H5AD = ".h5ad"
IMAGES = {".svs", ".ndpi", ".scn", ".bif", ".qptiff", ".tif", ".tiff", ".btf", ".png", ".jpg", ".jpeg"}


def read(
    path: str | Path,
    *,
    slide: str | None = None,
    slides: Sequence[str] | None = None,
    mpp: float | None = None,
    store: str | Path | None = None,
) -> SpatialData:
    """Read whatever a path holds, by looking at it.

    Parameters
    ----------
    path
        Folder with ``slides.csv`` (:func:`read_st`), Space Ranger folder of Visium (:func:`read_visium`) or of Visium HD
        (:func:`read_visium_hd`; bins of 8 um where there are some, others by the path of their own folder, as
        ``square_016um``), Xenium folder (:func:`read_xenium`: spots of 55 um, or cells where it has no transcripts), folder
        of HEST-1k (:func:`read_hest`), ``.h5ad`` file with a small picture of its slide (:func:`from_anndata`), ``.h5`` file
        of the challenge (:func:`read_challenge`), image file (:func:`read_wsi`), or ``.zarr`` store.
    slide
        Slide id of a Space Ranger or Xenium folder or an image file; the name of the file or folder if None, and that of the
        folder above for one that is called ``outs``.
    slides
        Some slides of a ``slides.csv`` folder, samples of HEST-1k, or libraries of an ``.h5ad`` file.
    mpp
        Micrometers per pixel of an image file, or of positions in an ``.h5ad`` file.
    store
        New zarr store to write to; the object returned reads from it.

    Returns
    -------
    SpatialData
        The cohort.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ValueError
        If it holds none of these, is broken, or ``mpp`` or ``slide`` is given for something that has its own.
    """
    path, store = Path(path), None if store is None else Path(store)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    is_hd = hd_mark(path) is not None
    if is_xenium(path) and mpp is None:
        return read_xenium(path, slide=slide, spots="cells" if only_cells(path) else ("um", 55), store=store)
    if not is_xenium(path) and not is_hd:
        refuse_unread(path)
    if path.suffix.lower() == H5AD:
        return _read_anndata(path, library=slides, slide=slide, mpp=mpp, store=store)
    if path.suffix.lower() in IMAGES:
        return read_wsi(path, slide=slide, mpp=mpp, store=store)
    if mpp is not None:
        raise ValueError(f"mpp is for image files {sorted(IMAGES)}; {path} has its own scale")
    if is_hd:
        return read_visium_hd(path, bin_um=read_layout(path).usual(), slide=slide, store=store)
    sheet = (path / "slides.csv").exists()
    if (path / "spatial").exists() and not sheet:
        return read_visium(path, slide=slide or sample_id(path), store=store)
    if slide is not None:
        raise ValueError(
            f"slide={slide!r} is for Space Ranger and Xenium folders and image files; {path} names its own slides"
        )
    if sheet:
        return read_st(path, slides=slides, store=store)
    if is_hest(path):
        return read_hest(path, ids=slides, store=store)
    sdata = _read_whole(path)
    return sdata if store is None else _stored(sdata, store)


def _read_whole(path: Path) -> SpatialData:
    if path.suffix == ".zarr":
        return _read_store(path)
    if path.suffix in (".h5", ".hdf5"):
        return read_challenge(path)
    raise ValueError(
        f"{path} is no slides.csv folder, Space Ranger folder, Xenium folder, folder of HEST-1k, .h5ad or .h5 file, .zarr "
        f"store or image{what_it_may_be(path)}"
    )


def _read_anndata(path: Path, *, slide: str | None, **options: Any) -> SpatialData:
    """Read a file that has small pictures of its slides, which are called after the file where they have no names."""
    adata = read_h5ad(path)
    try:
        if slide is None and not (adata.uns.get(_keys.SPATIAL) or LIBRARY in adata.obs):
            slide = sample_id(path.with_suffix(""))
        return from_anndata(adata, slide=slide, **options)
    except (KeyError, ValueError) as error:
        raise type(error)(f"{path}, read by adata = anndata.read_h5ad({str(path)!r}): {error.args[0]}") from error


def _read_store(path: Path) -> SpatialData:

    try:
        sdata = open_store(path)
    except Exception as error:
        raise ValueError(f"{path} is no SpatialData store, or a broken one: {reason(error)}") from error
    if not list(sdata.gen_elements()):
        raise ValueError(f"{path} is no SpatialData store, or an empty one: it has no elements")
    return sdata


def _stored(sdata: SpatialData, store: Path) -> SpatialData:

    with new_folder(store) as folder, quiet():
        sdata.write(folder, update_sdata_path=False)
    return open_store(store)
