"""Spatial Transcriptomics folders: ``slides.csv``, ``images/``, ``counts/``, ``spots/``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from spatialhist import _keys
from spatialhist._runtime.files import inside, intact
from spatialhist.io._st_files.counts import read_matrix

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

COUNTS, LOG_EXPRESSION = "counts", "log_expression"
_POSITION = ["pixel_x", "pixel_y"]
_LENGTHS = ["mpp_um", "spot_pitch_px", "spot_diameter_px"]


@dataclass(frozen=True)
class _Spots:
    """Positions and expression of one slide, joined on the spot id."""

    frame: pd.DataFrame
    matrix: sparse.csr_matrix
    genes: list[str]


def read_st(
    folder: str | Path,
    *,
    slides: str | Sequence[str] | None = None,
    store: str | Path | None = None,
    progress: bool = True,
) -> SpatialData:
    """Read slides of Spatial Transcriptomics, or of anything brought into its layout.

    Parameters
    ----------
    folder
        Folder with ``slides.csv`` (column ``slide``; where known ``patient``, ``image``, ``mpp_um``,
        ``spot_pitch_px``, ``spot_diameter_px``), ``counts/<slide>.tsv.gz`` (spots x genes, raw counts),
        ``spots/<slide>.csv`` (``spot_id``, ``pixel_x``, ``pixel_y`` in pixels of the image, any further columns) and
        ``images/<slide>.*`` (JPEG, PNG or TIFF).
    slides
        Slides to read.
    store
        New zarr store to write to; the image of a slide leaves memory before the next one is read. Without one, decoded
        pixels lie in temporary files, which go with the object.
    progress
        Show progress bars.

    Returns
    -------
    SpatialData
        One SpatialData with all slides; with ``store``, the one read back from there. Further columns of ``spots/`` are
        in ``obs``; ``in_tissue`` or ``selected`` becomes ``obs["in_tissue"]``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    FileExistsError
        If the store exists.
    KeyError
        If a slide is not in ``slides.csv``.
    ValueError
        If a file does not hold what it should; the message names it.

    Notes
    -----
    Spots without counts and counts without spots are left out with a warning. Genes that occur twice are summed. Where
    there is only ``log_expression/`` it becomes ``X``, with a warning. All tables are read and checked before the
    first image; images above two gigapixels are refused.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_st("her2st", slides=["A1", "B4"], store="her2st.zarr")  # doctest: +SKIP
    """
    from tqdm.auto import tqdm

    from spatialhist.io._assembly.cohort import assemble, check_new

    folder = Path(folder)
    check_new(store)
    sheet = _read_sheet(folder, slides)
    spots = {slide: _read_spots(folder, slide) for slide in tqdm(sheet.index, "tables", disable=not progress)}
    bar = tqdm(sheet.index, "images", disable=not progress)
    built = (_build(folder, sheet.loc[slide], spots[slide], stored=store is not None) for slide in bar)
    sdata = assemble(built, store)
    table = sdata[_keys.TABLE]
    logger.info("read %d slides with %d spots and %d genes from %s", len(sheet), *table.shape, folder)
    return sdata


def _read_sheet(folder: Path, slides: str | Sequence[str] | None) -> pd.DataFrame:
    """Rows of ``slides.csv`` for the chosen slides, by slide id."""
    from spatialhist.io._assembly.slide import check_slide_id

    path = inside(folder, "slides.csv")
    sheet = _read_csv(path, ["slide"], text=["slide", "patient", "image"], numbers=_LENGTHS)
    sheet = sheet.set_index("slide", drop=False)
    if sheet.index.has_duplicates:
        raise ValueError(f"{path} must name each slide once; it has {sheet.index.tolist()}")
    chosen = sheet.index.tolist() if slides is None else [slides] if isinstance(slides, str) else list(slides)
    unknown = [s for s in chosen if s not in sheet.index]
    if unknown or not chosen:
        raise KeyError(f"no slides {unknown} in {path}; it has {sheet.index.tolist()}")
    for slide in chosen:
        check_slide_id(slide)
    return sheet.loc[chosen]


def _read_csv(path: Path, columns: list[str], *, text: list[str], numbers: list[str]) -> pd.DataFrame:
    """Read a table that must have ``columns``, without gaps; ``text`` and ``numbers`` say what columns hold."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; a folder for read_st holds slides.csv, counts/, spots/ and images/")
    with intact(path, "{path} cannot be read as CSV: {error}", errors=(ValueError,)):
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str))
    missing = [c for c in columns if c not in frame]
    if missing:
        raise ValueError(f"{path} lacks columns {missing}; it has {list(frame)}")
    if frame.empty:
        raise ValueError(f"{path} has no rows")
    empty = [c for c in columns if frame[c].isna().any()]
    if empty:
        raise ValueError(f"{path} has empty cells in columns {empty}")
    words = [c for c in numbers if c in frame and not pd.api.types.is_numeric_dtype(frame[c])]
    if words:
        raise ValueError(f"{path} has cells that are no numbers in columns {words}")
    return frame


def _read_spots(folder: Path, slide: str) -> _Spots:
    path = inside(folder, "spots", f"{slide}.csv")
    frame = _read_csv(path, [_keys.INSTANCE, *_POSITION], text=[_keys.INSTANCE], numbers=_POSITION)
    frame = frame.set_index(_keys.INSTANCE)
    ids, matrix, genes = _read_expression(folder, slide)
    for where, index in ((path, frame.index), (f"the expression of slide {slide!r}", ids)):
        if index.has_duplicates:
            raise ValueError(f"spot ids repeat in {where}, e.g. {index[index.duplicated()][0]!r}")
    both = frame.index.intersection(ids, sort=False)
    if not len(both):
        raise ValueError(
            f"slide {slide!r}: no spot_id of {path} has counts; ids there look like {frame.index[0]!r}, "
            f"in the counts like {ids[0]!r}"
        )
    if len(both) < max(len(frame), len(ids)):
        warnings.warn(
            f"slide {slide!r}: left out {len(frame) - len(both)} spots without counts and "
            f"{len(ids) - len(both)} rows of counts without a spot; {len(both)} spots remain",
            stacklevel=2,
        )
    return _Spots(frame.loc[both], matrix[ids.get_indexer(both)], genes)


def _read_expression(folder: Path, slide: str) -> tuple[pd.Index, sparse.csr_matrix, list[str]]:
    """Spot ids, spots x genes, genes."""
    counts, log = (inside(folder, kind, f"{slide}.tsv.gz") for kind in (COUNTS, LOG_EXPRESSION))
    if counts.is_file():
        ids, matrix, genes = read_matrix(counts)
        return ids, *_sum_repeated(matrix, genes)
    if not log.is_file():
        raise FileNotFoundError(f"slide {slide!r} has no {counts}")
    warnings.warn(
        f"slide {slide!r} has only {log}: X holds log expression, not raw counts, so skip sh.pp.log_normalize",
        stacklevel=2,
    )
    return read_matrix(log)


def _sum_repeated(matrix: sparse.csr_matrix, genes: list[str]) -> tuple[sparse.csr_matrix, list[str]]:
    codes, names = pd.factorize(np.array(genes, dtype=object))
    if len(names) == len(genes):
        return matrix, genes
    # a product sums columns of one gene without making the matrix dense
    belongs = sparse.csr_matrix((np.ones(len(genes), np.float32), (np.arange(len(genes)), codes)))
    return (matrix @ belongs).tocsr(), names.tolist()


def _build(folder: Path, row: pd.Series, spots: _Spots, *, stored: bool) -> SpatialData:
    from spatialhist.io._assembly.slide import make_slide
    from spatialhist.io._images.image_file import read_pixels

    pixels = read_pixels(_image_path(folder, row))
    return make_slide(
        # in a moment these are in the store
        pixels if stored else _spooled(pixels, row["slide"]),
        spots.frame[_POSITION],
        spots.matrix,
        slide=row["slide"],
        genes=spots.genes,
        spot_ids=spots.frame.index,
        patient=_known(row, "patient"),
        mpp=_known(row, "mpp_um"),
        pitch_px=_known(row, "spot_pitch_px"),
        spot_diameter_px=_known(row, "spot_diameter_px"),
        obs=_extra_columns(spots.frame),
    )


def _spooled(pixels: np.ndarray, slide: str) -> list[np.ndarray]:
    from spatialhist._sdata.pyramids import halved
    from spatialhist.io._images.spooled import spooled

    return [spooled(level, f"image of slide {slide!r}") for level in halved(pixels)]


def _known(row: pd.Series, column: str) -> Any:
    value = row.get(column)
    return None if pd.isna(value) else value


def _image_path(folder: Path, row: pd.Series) -> Path:
    named = _known(row, "image")
    if named is not None:
        return inside(folder, named)
    found = sorted((folder / "images").glob(f"{row['slide']}.*"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"slide {row['slide']!r} has {len(found)} images in {folder / 'images'}: name one in the column 'image' "
            "of slides.csv"
        )
    return inside(folder, "images", found[0].name)


def _extra_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Further columns under names a store can hold, flags as 0 and 1; the contract's own columns are not taken."""
    own = {_keys.REGION, _keys.INSTANCE, _keys.PATIENT, _keys.MEASURED}
    extra = frame.drop(columns=_POSITION).rename(columns={"selected": _keys.IN_TISSUE}).rename(columns=_keys.sanitize)
    extra = extra.loc[:, ~extra.columns.isin(own) & ~extra.columns.duplicated()]
    # as Space Ranger writes in_tissue
    return extra.astype({c: int for c in extra if extra[c].dtype == bool})
