"""Paths that hold data of a kind that is not read here, named with a way to read them."""

from __future__ import annotations

from pathlib import Path

from spatialhist._runtime.files import BROKEN, own_hdf5
from spatialhist.io._space_ranger.hd_layout import hd_mark
from spatialhist.io._xenium_files.files import MARKS

HD = "is an output of Visium HD: read it with sh.io.read_visium_hd(path)"
XENIUM = "is a Xenium output: read it with sh.io.read_xenium(path)"
MATRIX = "is a feature-barcode matrix without positions: give the folder that also has spatial/ to sh.io.read_visium"
SLIDE = "is a slide in a format other than TIFF: convert it to OME-TIFF with QuPath or bfconvert"

SUFFIXES = dict.fromkeys((".mrxs", ".czi", ".vsi", ".dcm"), SLIDE)


def refuse_unread(path: Path) -> None:
    """Say what a path holds, where it is something that another function or package reads.

    Raises
    ------
    ValueError
        With the kind and a way to read it.
    """
    for kind, mark in ((HD, hd_mark(path)), (XENIUM, next((m for m in MARKS if (path / m).exists()), None))):
        if mark is not None:
            raise ValueError(f"{path} {kind} (it has {mark})")
    file = SUFFIXES.get(path.suffix.lower()) or (MATRIX if _is_matrix(path) else None)
    if file is not None:
        raise ValueError(f"{path} {file}")


def _is_matrix(path: Path) -> bool:
    if path.suffix != ".h5" or not path.is_file():
        return False
    try:
        with own_hdf5(path) as file:
            return "matrix/barcodes" in file
    except (OSError, RuntimeError, ValueError, *BROKEN):
        return False
