"""Breast cancer sections of two patients, with spots of Spatial Transcriptomics."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.download import cache_folder, fetch
from spatialhist._runtime.files import whole_file

if TYPE_CHECKING:
    from spatialdata import SpatialData

COMMIT = "85df7411b987a7dec3feff9718b869a7a82091ec"
ADDRESS = f"https://raw.githubusercontent.com/almaan/her2st/{COMMIT}/data"
NOTICE = (
    "her2st, CC BY 4.0. Cite: Andersson A, Larsson L, Stenbeck L, et al. Spatial deconvolution of HER2-positive breast "
    "cancer delineates tumor-associated cell type interactions. Nat Commun 12, 6012 (2021). "
    "doi:10.1038/s41467-021-26271-2"
)
SHEET = ["patient", "mpp_um", "spot_pitch_px", "spot_diameter_px"]
"""Columns of the table that is read with the slides."""
SLIDES = Path(__file__).with_suffix(".csv")
"""Patient, scale and files of every slide with their SHA-256; of the spots, that of what is read of them."""


def her2st(
    slides: str | Sequence[str] | None = None,
    *,
    store: str | Path | None = None,
    cache: str | Path | None = None,
    mirror: str = ADDRESS,
    progress: bool = True,
) -> SpatialData:
    """Download sections of HER2-positive breast cancer :cite:p:`andersson2021`: two patients, spots of 100 µm.

    Slide B4 is of patient B, C2 to C5 are adjacent sections of patient C. An image has 92 million pixels; a slide is 5 MB
    to download and 280 MB in memory or in a store.

    Parameters
    ----------
    slides
        Slides, all five if None.
    store
        New zarr store to write to; see :func:`spatialhist.io.read_st`.
    cache
        Folder for the downloads; the one that ``SPATIALHIST_CACHE`` names, or else the user's cache, if None.
    mirror
        Address of a copy of the repository's folder ``data``.
    progress
        Show progress bars, license and citation.

    Returns
    -------
    SpatialData
        The cohort, with what must be cited in ``attrs["spatialhist"]["citation"]``.

    Raises
    ------
    KeyError
        If there is no such slide.
    ConnectionError
        If a file cannot be downloaded; the message says where to put it by hand.
    ValueError
        If a file is not the published one.

    Notes
    -----
    Files come from a fixed commit of github.com/almaan/her2st, are checked by their SHA-256 (spots: by the positions that
    are read), and are downloaded once; an interrupted download resumes. Patients A and D to H are left
    out. License: CC BY 4.0. Only spots that are in both tables of a slide are kept.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.datasets.her2st(["B4", "C2"], store="her2st.zarr")  # doctest: +SKIP
    """
    from spatialhist.io import read_st

    known = pd.read_csv(SLIDES, index_col="slide", float_precision="round_trip")
    chosen = known.index.tolist() if slides is None else [slides] if isinstance(slides, str) else list(slides)
    unknown = [s for s in chosen if s not in known.index]
    if unknown or not chosen:
        raise KeyError(f"no slides {unknown} to download; there are {known.index.tolist()}")
    folder = cache_folder("her2st", cache)
    for slide in chosen:
        _download(folder, known.loc[slide], mirror, progress)
    _write_table(folder / "slides.csv", known[SHEET].reset_index())
    if progress:
        print(NOTICE)
    sdata = read_st(folder, slides=chosen, store=store, progress=progress)
    sdata.attrs[_keys.ROOT]["citation"] = NOTICE
    if store is not None:
        sdata.write_attrs()
    return sdata


def _download(folder: Path, known: pd.Series, mirror: str, progress: bool) -> None:
    """Bring the files of a slide into the layout that :func:`spatialhist.io.read_st` reads."""
    slide = known.name
    counts, published = folder / "counts" / f"{slide}.tsv.gz", folder / "published" / f"{slide}_selection.tsv"
    fetch(f"{mirror}/ST-imgs/{known.image}", folder / "images" / f"{slide}.jpg", known.image_sha256, progress=progress)
    fetch(f"{mirror}/ST-cnts/{counts.name}", counts, known.counts_sha256, progress=progress)
    fetch(f"{mirror}/ST-spotfiles/{published.name}", published, None, progress=progress)
    spots = _read_selection(published)
    spots = spots[spots["spot_id"].isin(_ids_of_counts(counts))]
    if _digest(spots) != known.spots_sha256:
        published.unlink()
        raise ValueError(f"{published.name} from {mirror} does not hold the published positions, and was removed")
    _write_table(folder / "spots" / f"{slide}.csv", spots)


def _read_selection(path: Path) -> pd.DataFrame:
    """Spots under tissue: id, array position, pixel position."""
    frame = pd.read_csv(path, sep="\t")
    if not {"x", "y", "pixel_x", "pixel_y", "selected"} <= set(frame):
        return pd.DataFrame(columns=["spot_id", "array_x", "array_y", "pixel_x", "pixel_y"])
    frame = frame[frame["selected"] == 1].rename(columns={"x": "array_x", "y": "array_y"})
    frame["spot_id"] = frame["array_x"].astype(str) + "x" + frame["array_y"].astype(str)
    return frame[["spot_id", "array_x", "array_y", "pixel_x", "pixel_y"]]


def _ids_of_counts(path: Path) -> set[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return {line.split("\t", 1)[0] for line in lines}


def _digest(spots: pd.DataFrame) -> str:
    """SHA-256 of positions to a hundredth of a pixel, whatever their order."""
    rows = zip(spots["spot_id"], spots["pixel_x"], spots["pixel_y"], strict=True)
    lines = sorted(f"{spot},{x:.2f},{y:.2f}\n" for spot, x, y in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _write_table(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as new:
        table.to_csv(new, index=False)
