"""Space Ranger output, through spatialdata-io."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

_POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv")


def read_visium(
    path: str | Path,
    *,
    slide: str = "S1",
    image: str | Path | None = None,
    patient: str | None = None,
    raw: bool = False,
    store: str | Path | None = None,
) -> SpatialData:
    """Read the output of Space Ranger 1 to 3 for one Visium slide.

    Parameters
    ----------
    path
        The ``outs`` folder: ``filtered_feature_bc_matrix.h5`` and ``spatial/``.
    slide
        Slide id; it names the spots, the region in the table and the coordinate system.
    image
        Full-resolution image that Space Ranger was given (TIFF, JPEG or PNG). Without it the slide has only the small
        images of Space Ranger, to be chosen by ``image_key="S1_hires_image"``.
    patient
        Patient id.
    raw
        Read ``raw_feature_bc_matrix.h5``, which holds the spots off tissue too; ``obs["in_tissue"]`` tells them apart.
    store
        New zarr store to write to.

    Returns
    -------
    SpatialData
        The slide as :func:`spatialdata_io.visium` names it, with thumbnail and scale (spots are 100 µm apart) added;
        with ``store``, the one read back from there. Gene names are made unique by a number.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    FileExistsError
        If the store exists.
    ValueError
        If a spot has no position, or the image cannot be read.

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_visium("outs", slide="S1", image="slide.tif", patient="P1")  # doctest: +SKIP
    """
    from spatialhist._sdata.cohort import open_cohort
    from spatialhist.io._assembly.cohort import assemble, check_new
    from spatialhist.io._assembly.slide import check_slide_id

    path = Path(path)
    check_new(store)
    check_slide_id(slide)
    counts_file = f"{'raw' if raw else 'filtered'}_feature_bc_matrix.h5"
    _check_files(path, counts_file, image)
    part = _read_tables(path, slide, counts_file, patient)
    if image is not None:
        _add_full_image(part, slide, Path(image))
    open_cohort(part)
    sdata = assemble([part], store)
    logger.info("read slide %r with %d spots and %d genes from %s", slide, *sdata[_keys.TABLE].shape, path)
    return sdata


def _check_files(path: Path, counts_file: str, image: str | Path | None) -> None:
    spatial = path / "spatial"
    needed = [path / counts_file, spatial / "scalefactors_json.json"]
    missing = [str(f) for f in needed if not f.is_file()]
    if not any((spatial / name).is_file() for name in _POSITIONS):
        missing.append(f"{spatial / _POSITIONS[0]} (or {_POSITIONS[1]})")
    if image is not None and not Path(image).is_file():
        missing.append(str(image))
    if missing:
        advice = f"; did you mean {path / 'outs'}?" if (path / "outs").is_dir() else ""
        raise FileNotFoundError(f"missing for a Space Ranger output: {', '.join(missing)}{advice}")


def _read_tables(path: Path, slide: str, counts_file: str, patient: str | None) -> SpatialData:
    from spatialdata_io import visium

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Variable names are not unique")
        warnings.filterwarnings("ignore", "Converting `region_key")
        part = visium(path, dataset_id=slide, counts_file=counts_file)
    table = part.tables[_keys.TABLE]
    lost = int(np.isnan(table.obsm[_keys.SPATIAL]).any(axis=1).sum())
    if lost:
        raise ValueError(f"{lost} of {table.n_obs} barcodes of {path / counts_file} have no position in {path}/spatial")
    table.obs[_keys.MEASURED] = True
    table.obs_names = slide + "_" + table.obs_names
    metadata = table.uns[_keys.SPATIAL][slide]["metadata"]
    # Space Ranger 1 wrote arrays of bytes, of which zarr warns that others may not read them.
    metadata.update({k: _text(v) for k, v in metadata.items()})
    if patient is not None:
        table.obs[_keys.PATIENT] = pd.Categorical([patient] * table.n_obs)
    return part


def _text(value: Any) -> str:
    first = np.ravel(value)[0]
    return first.decode() if isinstance(first, bytes) else str(first)


def _add_full_image(part: SpatialData, slide: str, path: Path) -> None:
    from spatialdata.transformations import Identity

    from spatialhist._sdata.pyramids import parse_image
    from spatialhist.io._images.image_file import read_pixels

    pixels = read_pixels(path)
    part.images[_keys.image(slide)] = parse_image(pixels, {slide: Identity()})
