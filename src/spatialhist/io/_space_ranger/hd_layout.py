"""Which bins and cells an output of Visium HD has, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spatialhist.io._assembly.slide import OUTS
from spatialhist.io._folders.sample_files import find_file
from spatialhist.io._space_ranger.files import SCALE_FACTORS, SpaceRangerFiles, find_files
from spatialhist.io._space_ranger.scale_factors import read_scale_factors

CELLS = "cells"
USUAL = (8, 16, 2, CELLS)
"""What is read where nothing is said, the first that is there; bins of 8 um are 10x's own choice."""
BINNED, SEGMENTED = "binned_outputs", "segmented_outputs"
SQUARE = re.compile(r"square_(\d+)um")
BIN_COUNTS, CELL_COUNTS = "filtered_feature_bc_matrix.h5", "filtered_feature_cell_matrix.h5"
BIN_POSITIONS = ("spatial/tissue_positions.parquet", "spatial/tissue_positions.csv")
OUTLINES = "cell_segmentations.geojson"
MICROSCOPE, TISSUE_IMAGE = "microscope_image", "*_tissue_image.*"
MARKS = (BINNED, SEGMENTED, "feature_slice.h5", BIN_POSITIONS[0], CELL_COUNTS, OUTLINES)
IMAGES = {".tif", ".tiff", ".btf", ".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Layout:
    """What there is of one slide.

    Attributes
    ----------
    path
        Folder that was given.
    folders
        Folder of the bins of every size, in micrometers, and of ``"cells"``.
    """

    path: Path
    folders: dict[int | str, Path]

    def usual(self) -> int | str:
        """Size of bins to read where nothing is said."""
        return next((kind for kind in USUAL if kind in self.folders), next(iter(self.folders)))

    def files(self, bin_um: int | str) -> SpaceRangerFiles:
        """Files of bins of a size, or of cells.

        Raises
        ------
        FileNotFoundError
            If one is missing.
        ValueError
            If there are no bins of this size; the message names those that there are.
        """
        # a list compares, where a dict would fail on what cannot be a key
        if bin_um not in list(self.folders):
            there = ", ".join(f"bin_um={kind!r}" for kind in self.folders)
            raise ValueError(f"{self.path} holds nothing of bin_um={bin_um!r}: it has {there}")
        if bin_um == CELLS:
            return find_files(self.folders[bin_um], CELL_COUNTS, (OUTLINES,))
        return find_files(self.folders[bin_um], BIN_COUNTS, BIN_POSITIONS)


def hd_mark(path: Path) -> str | None:
    """What tells that a folder is an output of Visium HD, or a part of one; None if it is not."""
    return next((mark for mark in MARKS if (path / mark).is_dir() or find_file(path, mark)), None)


def read_layout(path: Path) -> Layout:
    """See what is in a folder: the whole output, its bins or cells, or those of one size.

    Raises
    ------
    FileNotFoundError
        If there are neither bins nor cells.
    ValueError
        If a folder of bins does not say how large they are.
    """
    squares = [folder for place in (path, path / BINNED) for folder in sorted(place.glob("square_*um"))]
    # the folder itself comes last, since it may be one of bins that was renamed
    sizes = {folder: _bin_size(folder) for folder in [*squares, path]}
    folders: dict[int | str, Path] = {size: folder for folder, size in sizes.items() if size}
    cells = [place for place in (path / SEGMENTED, path) if find_file(place, CELL_COUNTS) or find_file(place, OUTLINES)]
    if cells:
        folders[CELLS] = cells[0]
    if not folders:
        advice = f"; did you mean {path / OUTS}?" if (path / OUTS).is_dir() else ""
        raise FileNotFoundError(f"{path} has neither {BINNED}/square_008um nor {SEGMENTED} of Visium HD{advice}")
    return Layout(path, folders)


def _bin_size(folder: Path) -> int | None:
    """Micrometers by the name of a folder of bins, or by its scale factors where it was renamed."""
    named = SQUARE.fullmatch(folder.name)
    if named is not None:
        return int(named[1])
    if find_file(folder, BIN_POSITIONS[0]) is None:
        return None
    factors = find_file(folder, SCALE_FACTORS)
    if factors is None:
        raise FileNotFoundError(f"missing for bins of Visium HD: {folder / SCALE_FACTORS}")
    return round(read_scale_factors(factors).bin_um or 0) or None


def output_folder(path: Path) -> Path:
    """Folder of the whole output, where a folder in it was given."""
    # absolute, since the parent of '.' is '.' again
    above = (path.absolute(), *path.absolute().parents)
    return next(
        folder for folder in above if folder.name not in (BINNED, SEGMENTED) and not SQUARE.fullmatch(folder.name)
    )


def find_microscope_image(path: Path) -> Path | None:
    """The image that Space Ranger was given, where it lies in the output; None where there is none.

    Raises
    ------
    ValueError
        If there are several.
    """
    output = output_folder(path)
    places = [*(output / MICROSCOPE).glob("*"), *output.glob(TISSUE_IMAGE)]
    found = sorted(p for p in places if p.suffix.lower() in IMAGES and p.is_file())
    if len(found) > 1:
        raise ValueError(
            f"{output} holds {len(found)} images, {', '.join(p.name for p in found[:4])}: choose the one that positions "
            f"were measured on, sh.io.read_visium_hd({str(path)!r}, image={str(found[0])!r})"
        )
    return found[0] if found else None
