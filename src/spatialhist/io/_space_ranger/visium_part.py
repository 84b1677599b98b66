"""One slide of Visium, before it is written or joined with others."""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._sdata.gene_names import unique_names
from spatialhist.io._space_ranger.files import POSITIONS, SCALE_FACTORS

if TYPE_CHECKING:
    from spatialdata import SpatialData

    from spatialhist.io._space_ranger.files import SpaceRangerFiles

logger = logging.getLogger(__name__)

COUNTS = "filtered_feature_bc_matrix.h5"


def read_part(
    path: str | Path,
    *,
    slide: str = "S1",
    image: str | Path | None = None,
    patient: str | None = None,
    raw: bool = False,
    lazy: bool = False,
) -> SpatialData:
    """Read what :func:`spatialhist.io.read_visium` describes.

    Where `lazy`, pixels of a TIFF stay in its file until they are written to a store.
    """
    from spatialhist.io._assembly.slide import check_slide_id
    from spatialhist.io._space_ranger.features import warn_other_features
    from spatialhist.io._space_ranger.files import find_files
    from spatialhist.io._space_ranger.images import add_images
    from spatialhist.io._space_ranger.unread import refuse_unread

    path = Path(path)
    check_slide_id(slide)
    refuse_unread(path)
    files = find_files(path, f"{'raw' if raw else 'filtered'}_feature_bc_matrix.h5")
    if image is not None and not Path(image).is_file():
        raise FileNotFoundError(f"no image {image}")
    part = _read_tables(files, slide, patient)
    warn_other_features(files.counts)
    add_images(part, files, slide, None if image is None else Path(image), lazy=lazy)
    logger.info("read slide %r with %d spots and %d genes from %s", slide, *part[_keys.TABLE].shape, path)
    return part


def _read_tables(files: SpaceRangerFiles, slide: str, patient: str | None) -> SpatialData:
    from spatialhist.io._space_ranger.features import check_matrix, symbols

    # before spatialdata-io reads: it makes names unique in the order of the file, and does not check positions
    genes = symbols(files.counts)
    check_matrix(files.counts)
    part = _read_by_standard_names(files, slide)
    table = part.tables[_keys.TABLE]
    lost = int(np.isnan(table.obsm[_keys.SPATIAL]).any(axis=1).sum())
    if lost:
        raise ValueError(f"{lost} of {table.n_obs} barcodes of {files.counts} have no position in {files.positions}")
    table.var_names = unique_names(genes["symbol"], genes["id"])
    table.obs[_keys.MEASURED] = True
    table.obs_names = slide + "_" + table.obs_names
    metadata = table.uns[_keys.SPATIAL][slide]["metadata"]
    # Space Ranger 1 wrote arrays of bytes, of which zarr warns that others may not read them.
    metadata.update({k: _text(v) for k, v in metadata.items()})
    if patient is not None:
        table.obs[_keys.PATIENT] = pd.Categorical([patient] * table.n_obs)
    return part


def _read_by_standard_names(files: SpaceRangerFiles, slide: str) -> SpatialData:
    """Let spatialdata-io read the tables from a folder in which every file has the name it asks for."""
    from spatialdata_io import visium

    from spatialhist.io._space_ranger.positions import read_positions

    # written anew: versions of Space Ranger differ in name and header of the file
    positions = read_positions(files.positions)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Variable names are not unique")
        warnings.filterwarnings("ignore", "Converting `region_key")
        Path(folder, "spatial").mkdir()
        _link(files.scale_factors, Path(folder, SCALE_FACTORS))
        _link(files.counts, Path(folder, COUNTS))
        positions.to_csv(Path(folder, POSITIONS[0]))
        try:
            return visium(folder, dataset_id=slide, counts_file=COUNTS)
        except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            raise ValueError(f"{files.counts} or {files.scale_factors} cannot be read: {error}") from error


def _link(file: Path, there: Path) -> None:
    try:
        # a link, since a matrix may be large
        there.symlink_to(file.resolve())
    except OSError:  # Windows asks for a privilege
        shutil.copy(file, there)


def _text(value: Any) -> str:
    first = np.ravel(value)[0]
    return first.decode() if isinstance(first, bytes) else str(first)
