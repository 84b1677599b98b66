"""Which files of a Xenium output a folder has, whichever version wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

from spatialhist._runtime.files import BROKEN, intact
from spatialhist.io._folders.sample_files import first_file

EXPERIMENT = "experiment.xenium"
TRANSCRIPTS = ("transcripts.parquet", "transcripts.csv.gz", "transcripts.csv")
CELLS = ("cells.parquet", "cells.csv.gz", "cells.csv")
MATRIX = "cell_feature_matrix.h5"
MARKS = (EXPERIMENT, *TRANSCRIPTS[:2], MATRIX)
"""Files that a folder of another kind does not have."""
HE_IMAGES = ("*he_image.ome.tif", "*he_image.ome.tiff", "*he_image.tif")


@dataclass(frozen=True)
class XeniumFiles:
    """Files of one region, each None where it is missing."""

    folder: Path
    experiment: Path | None
    transcripts: Path | None
    cells: Path | None
    matrix: Path | None


def is_xenium(path: Path) -> bool:
    """Whether a folder holds the output of Xenium."""
    return any((path / mark).is_file() or any(path.glob(f"*_{mark}")) for mark in MARKS)


def only_cells(path: Path) -> bool:
    """Whether an output has cells and no transcripts, as published ones often do."""
    return first_file(path, TRANSCRIPTS) is None and first_file(path, (MATRIX,)) is not None


def find_files(path: Path) -> XeniumFiles:
    """Find the files of a region.

    Raises
    ------
    FileNotFoundError
        If the folder holds none of them; the message names folders below that do.
    """
    if not is_xenium(path) and first_file(path, (*TRANSCRIPTS, *CELLS)) is None:
        raise FileNotFoundError(f"{path} is no Xenium output: it has no {TRANSCRIPTS[0]} and no {MATRIX}{_below(path)}")
    found = (first_file(path, names) for names in ((EXPERIMENT,), TRANSCRIPTS, CELLS, (MATRIX,)))
    return XeniumFiles(path, *found)


def _below(path: Path) -> str:
    below = [str(p) for p in sorted(path.iterdir()) if p.is_dir() and is_xenium(p)] if path.is_dir() else []
    return f"; did you mean {' or '.join(below[:3])}?" if below else ""


def pixel_size(files: XeniumFiles) -> float:
    """Micrometers per pixel of the morphology image, which alignments are given in.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder does not say it.
    """
    path = files.experiment
    if path is None:
        raise FileNotFoundError(
            f"missing {files.folder / EXPERIMENT}, which says the pixel size that an alignment is given in: copy it there "
            "from the Xenium output"
        )
    with intact(path, "{path} is damaged, so the pixel size of the alignment is unknown: {error}", errors=_DAMAGED):
        size = json.loads(path.read_text(encoding="utf-8"))["pixel_size"]
    if not (isinstance(size, Real) and 0 < float(size) < 1000):
        raise ValueError(
            f"{path} says pixel_size {size!r}: it must be micrometers per pixel, 0.2125 on most instruments"
        )
    return float(size)


_DAMAGED = (*BROKEN, ValueError, OSError)


def find_he_image(path: Path) -> tuple[Path, Path] | None:
    """H&E image of a folder and its alignment, where it holds one of each.

    Raises
    ------
    ValueError
        If it holds several.
    """
    # a set, since two patterns may match one file
    images = sorted({image for pattern in HE_IMAGES for image in path.glob(pattern)})
    pairs = [(image, alignment) for image in images if (alignment := find_alignment(image)) is not None]
    if len(pairs) > 1:
        names = [image.name for image, _ in pairs]
        raise ValueError(f"{path} holds {len(pairs)} H&E images, {', '.join(names[:3])}: choose one with image=")
    return pairs[0] if pairs else None


def find_alignment(image: Path) -> Path | None:
    """File beside an image that is called after it, as 10x calls alignments."""
    beside = (image.with_name(name) for name in alignment_names(image))
    return next((path for path in beside if path.is_file()), None)


def alignment_names(image: Path) -> list[str]:
    """Names that the file of an alignment may have beside its image, that of 10x first."""
    # 10x writes <id>_he_image.ome.tif and <id>_he_imagealignment.csv
    stem = image.name.removesuffix(image.suffix).removesuffix(".ome")
    return [f"{stem}{ends}" for ends in ("alignment.csv", "_alignment.csv")]
