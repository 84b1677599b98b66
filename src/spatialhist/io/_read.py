"""Read whatever a path holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialhist import _keys
from spatialhist._runtime.files import reason
from spatialhist.io._anndata.h5ad import read_h5ad
from spatialhist.io._anndata.libraries import COLUMN as LIBRARY
from spatialhist.io._assembly.cohort import assemble, check_new, open_store, write_store
from spatialhist.io._assembly.slide import sample_id
from spatialhist.io._challenge import read_challenge
from spatialhist.io._formats.format import Format, ends, has, tell
from spatialhist.io._from_anndata import from_anndata
from spatialhist.io._hest import read_hest
from spatialhist.io._hest1k.samples import is_hest
from spatialhist.io._sheet.rows import check_pool, check_rows, choose, read_row, read_sheet
from spatialhist.io._space_ranger.hd_layout import hd_mark, read_layout
from spatialhist.io._space_ranger.visium_part import read_part as read_visium_part
from spatialhist.io._st import read_st
from spatialhist.io._visium import read_visium
from spatialhist.io._visium_hd import read_visium_hd
from spatialhist.io._wsi import read_wsi
from spatialhist.io._xenium import read_xenium
from spatialhist.io._xenium_files.files import is_xenium, only_cells
from spatialhist.io._xenium_files.part import read_part as read_xenium_part

if TYPE_CHECKING:
    from spatialdata import SpatialData

IMAGES = {".svs", ".ndpi", ".scn", ".bif", ".qptiff", ".tif", ".tiff", ".btf", ".png", ".jpg", ".jpeg"}
SLIDE, SLIDES, MPP = "slide", "slides", "mpp"


def read(
    path: str | Path,
    *,
    slide: str | None = None,
    slides: Sequence[str] | None = None,
    mpp: float | None = None,
    pool_um: float | None = None,
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
        of the challenge (:func:`read_challenge`), image file (:func:`read_wsi`), ``.zarr`` store, or a sample sheet:
        a CSV or TSV file with one slide a row.
    slide
        Slide id of a Space Ranger or Xenium folder or an image file; the name of the file or folder if None, and that of the
        folder above for one that is called ``outs``.
    slides
        Some slides of a ``slides.csv`` folder or a sample sheet, samples of HEST-1k, or libraries of an ``.h5ad`` file.
    mpp
        Micrometers per pixel of an image file, or of positions in an ``.h5ad`` file.
    pool_um
        Size of spots in micrometers, on a hexagonal lattice, over which bins of Visium HD, cells of Xenium or those of an
        ``.h5ad`` file are summed as by :func:`spatialhist.pp.pool_spots`. The spots take the place of the bins.
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
        If it holds none of these, is broken, ``mpp`` or ``slide`` is given for something that has its own, or ``pool_um`` for
        something without bins or cells. In a sample
        sheet, the message names line and column, and all rows are checked before the first slide is read.
    KeyError
        If one of `slides` is not there.

    Notes
    -----
    Columns of a sample sheet, of which only ``path`` is needed (of the sheet's folder where it is relative):

    - ``platform``: ``visium``, ``visium_hd``, ``xenium``, ``anndata`` or ``image``; told by what is at the path where it is
      empty.
    - ``slide``: its id; that of the folder or file where it is empty.
    - ``image``, ``patient``, ``alignment``, ``bin_um``, ``spots``, ``min_qv``, ``mpp``: what the reader of the platform takes
      under this name. ``spots`` is a number of micrometers, or ``cells``.
    - ``pool_um``: as the parameter, for this slide.
    - any other column is kept in ``obs``.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read("samples.csv", store="cohort.zarr")  # doctest: +SKIP
    """
    path, store = Path(path), None if store is None else Path(store)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    found = tell(path, FORMATS)
    _refuse(path, found.takes, slide, mpp)
    given = {SLIDE: slide, SLIDES: slides, MPP: mpp}
    options = {called: given[key] for key, called in found.takes.items()}
    if pool_um is None:
        return found.read(path, store=store, **options)
    if found.name == "sheet":
        raise ValueError(f"pool_um={pool_um:g} is for one slide; {path} says it of each slide in a column pool_um")
    check_pool(found, pool_um, options, f"pool_um of {path}")
    check_new(store)
    return assemble([found.read_pooled(path, pool_um, lazy=store is not None, **options)], store)


def _refuse(path: Path, takes: Mapping[str, str], slide: str | None, mpp: float | None) -> None:
    """Refuse what something has of its own."""
    if mpp is not None and MPP not in takes:
        raise ValueError(f"mpp is for image files {sorted(IMAGES)}; {path} has its own scale")
    if slide is not None and SLIDE not in takes:
        raise ValueError(
            f"slide={slide!r} is for Space Ranger and Xenium folders and image files; {path} names its own slides"
        )


def _usual_spots(path: Path) -> dict[str, Any]:
    return {"spots": "cells" if only_cells(path) else ("um", 55)}


def _usual_bins(path: Path) -> dict[str, Any]:
    return {"bin_um": read_layout(path).usual()}


def _usual_slide(path: Path) -> dict[str, Any]:
    return {"slide": sample_id(path)}


def _read_anndata(
    path: Path,
    *,
    image: Path | None = None,
    library: Sequence[str] | None = None,
    slide: str | None = None,
    patient: str | None = None,
    mpp: float | None = None,
    store: Path | None = None,
) -> SpatialData:
    """Read an AnnData; a slide that has no name there is called after the file."""
    adata = read_h5ad(path)
    if slide is None and not (adata.uns.get(_keys.SPATIAL) or LIBRARY in adata.obs):
        slide = sample_id(path.with_suffix(""))
    try:
        return from_anndata(adata, image, library=library, slide=slide, patient=patient, mpp=mpp, store=store)
    except (KeyError, ValueError) as error:
        raise type(error)(f"{path}, read by adata = anndata.read_h5ad({str(path)!r}): {error.args[0]}") from error


def _read_sheet(path: Path, *, slides: str | Sequence[str] | None = None, store: Path | None = None) -> SpatialData:
    """Read the slides that a sample sheet names, one after the other; all rows are checked before the first."""
    check_new(store)
    rows = choose(path, check_rows(path, read_sheet(path), FORMATS), slides)
    return assemble((read_row(row, lazy=store is not None) for row in rows), store)


def _read_store(path: Path, *, store: Path | None = None) -> SpatialData:
    try:
        sdata = open_store(path)
    except Exception as error:
        raise ValueError(f"{path} is no SpatialData store, or a broken one: {reason(error)}") from error
    if not list(sdata.gen_elements()):
        raise ValueError(f"{path} is no SpatialData store, or an empty one: it has no elements")
    return sdata if store is None else write_store(sdata, store)


FORMATS = (
    Format(
        "xenium",
        is_xenium,
        read_xenium,
        {SLIDE: "slide"},
        _usual_spots,
        to_pool={"spots": "cells"},
        part=read_xenium_part,
        marked=True,
    ),
    Format("visium_hd", hd_mark, read_visium_hd, {SLIDE: "slide"}, _usual_bins, to_pool={}, marked=True),
    Format("anndata", ends(".h5ad"), _read_anndata, {SLIDE: "slide", SLIDES: "library", MPP: "mpp"}, to_pool={}),
    Format("image", ends(*IMAGES), read_wsi, {SLIDE: "slide", MPP: "mpp"}),
    # a folder with slides.csv may have one called spatial
    Format("st", has("slides.csv"), read_st, {SLIDES: "slides"}, one_slide=False),
    Format("visium", has("spatial"), read_visium, {SLIDE: "slide"}, _usual_slide, part=read_visium_part),
    Format("hest", is_hest, read_hest, {SLIDES: "ids"}, one_slide=False),
    Format("sheet", ends(".csv", ".tsv"), _read_sheet, {SLIDES: "slides"}, one_slide=False),
    Format("store", ends(".zarr"), _read_store, one_slide=False),
    Format("challenge", ends(".h5", ".hdf5"), read_challenge, one_slide=False),
)
"""In the order in which they are tried."""
