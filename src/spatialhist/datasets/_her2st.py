"""Breast cancer sections of two patients, with spots of Spatial Transcriptomics."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Slide:
    """Where a slide lies, its scale, and what its files are; of the spots, what is read of them."""

    patient: str
    image: str
    mpp_um: float
    spot_pitch_px: float
    spot_diameter_px: float
    image_sha256: str
    counts_sha256: str
    spots_sha256: str


SLIDES = {
    "B4": _Slide(
        "B", "B/B4/BT10737_D2_HE.jpg", 0.6901, 289.8, 144.9,
        image_sha256="3cb165614ce2a13426381e450220dccac980cc9bda6a90fb041c28ca0e2c753d",
        counts_sha256="e38231c2a38c9bc7e6d550eec0e527c1869ee0e525fc913e708d1323c34f5ebb",
        spots_sha256="140aa5364df940ff8bc00497a2648cab473993fd687e5b18d75d4f294829fb58",
    ),
    "C2": _Slide(
        "C", "C/C2/5714_HE_BT_C2.jpg", 0.693, 288.6, 144.3,
        image_sha256="26e2f73ae840cdd46c5bba405aae181f13a56a376b9848dff23f7a9c5de7f19e",
        counts_sha256="c1c59ea6cffae36b9ecb561b8e2a97e3aa5f4085f748e991a0e330ed9d09773d",
        spots_sha256="dc99e17e459e4176c8fabd63dbbcd8f0835028757f441eb655dcccc9a3ad5596",
    ),
    "C3": _Slide(
        "C", "C/C3/5714_HE_BT_D1.jpg", 0.6924, 288.83, 144.4,
        image_sha256="0005a92674014d473040a28f0afca89ce5fa5c44019b479b638ceb3272ceb568",
        counts_sha256="e00c55a3eb9caac5d9c71b8906aae8be8b38f93e23938f4a0ebee17683ef6a2a",
        spots_sha256="0b50cbbfa46910b828f8bb22eb0d951bcfd56c315abfcc3b0170b3fbf14eb506",
    ),
    "C4": _Slide(
        "C", "C/C4/5714_HE_BT_D2.jpg", 0.687, 291.12, 145.6,
        image_sha256="f40607eb1d5f0d125decd71c48b0c5d29cf6776ad92297fd185631208c82d6f2",
        counts_sha256="33201f76d41d7131dc600a0f87d9a70383af3503e81698b4d11e6f2e8d73e9da",
        spots_sha256="65f9299246104491ab04fdfd6af9c6ac52a221d4a4348a5ec428617f120f41d2",
    ),
    "C5": _Slide(
        "C", "C/C5/5714_HE_BT_E1.jpg", 0.6819, 293.29, 146.6,
        image_sha256="34028ea41e376396b50c42b0a11a7e689c85be4a8022e668d0a09cc128c04c65",
        counts_sha256="c0f310315ca6110d74dbdf7011e5b42432ba0b8eb5f001824764911988f39338",
        spots_sha256="3b762b5fe3da2ba47d4aa58f31899cc25c248c0492ee15f270bd907f70cb2d15",
    ),
}  # fmt: skip


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

    chosen = list(SLIDES) if slides is None else [slides] if isinstance(slides, str) else list(slides)
    unknown = [s for s in chosen if s not in SLIDES]
    if unknown or not chosen:
        raise KeyError(f"no slides {unknown} to download; there are {list(SLIDES)}")
    folder = cache_folder("her2st", cache)
    for slide in chosen:
        _download(folder, slide, mirror, progress)
    _write_table(folder / "slides.csv", _sheet())
    if progress:
        print(NOTICE)
    sdata = read_st(folder, slides=chosen, store=store, progress=progress)
    sdata.attrs[_keys.ROOT]["citation"] = NOTICE
    if store is not None:
        sdata.write_attrs()
    return sdata


def _download(folder: Path, slide: str, mirror: str, progress: bool) -> None:
    """Bring the files of a slide into the layout that :func:`spatialhist.io.read_st` reads."""
    known = SLIDES[slide]
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


def _sheet() -> pd.DataFrame:
    columns = ["patient", "mpp_um", "spot_pitch_px", "spot_diameter_px"]
    rows = [[slide, *(getattr(known, c) for c in columns)] for slide, known in SLIDES.items()]
    return pd.DataFrame(rows, columns=["slide", *columns])


def _write_table(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as new:
        table.to_csv(new, index=False)
