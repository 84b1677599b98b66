"""Put what is new into the store of an object."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist._sdata.compat import quiet
from spatialhist.io._assembly.cohort import check_new, check_path
from spatialhist.io._saving.store import save_changes, save_new

if TYPE_CHECKING:
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)


def save(
    sdata: SpatialData, path: str | Path | None = None, *, overwrite: bool = False, progress: bool = False
) -> None:
    """Put what is new or changed into the zarr store that an object was read from or written to, or make one.

    Images, masks, shapes, tables and, within a table, single layers, columns, matrices and ``uns`` entries are compared
    with the store; what is equal is not written again. What a table no longer holds is removed from its stored form;
    images, masks and shapes that are absent from ``sdata`` stay in the store.

    Everything is first written beside the stored elements and then renamed. A call that fails or is killed before the
    first rename leaves the store as it was; after it, :func:`spatialhist.io.read` and the next save carry out the rest.
    What opens a half-saved store in another way finds each part as it was or as it should be, or not there if it was
    about to be exchanged.

    Parameters
    ----------
    sdata
        The object. Afterwards its images and masks read from the store, and what was computed lazily is not computed
        again.
    path
        A new store, for all of the object. None for the one that it has.
    overwrite
        Replace what is at ``path``.
    progress
        Show a bar for each image that is computed.

    Returns
    -------
    None
        ``sdata.path`` names the store.

    Raises
    ------
    ValueError
        If the object has no store, something is at ``path`` already, zarr cannot hold what the object has, or another
        process has saved into a table of which this object has other spots or genes; then nothing has been written.
    RuntimeError
        If another process has been saving for five minutes.

    Notes
    -----
    Several processes may save into a store: they wait for each other. What another one has saved since this object was
    read is kept where this object does not have it, or has it unchanged; what both have changed holds the value of the
    last save. Warnings name both.

    What each step notes of itself, ``uns["spatialhist"]``, is one JSON text a step in the store, which
    :func:`spatialhist.io.read` opens as a dict. What reads the store in another way takes ``json.loads``.

    Examples
    --------
    >>> import tempfile, spatialdata, spatialhist as sh
    >>> sdata = sh.datasets.synthetic(n_slides=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sh.pp.save(sdata, f"{folder}/cohort.zarr")
    ...     sh.pp.log_normalize(sdata)
    ...     sh.pp.save(sdata)
    ...     "log1p" in spatialdata.read_zarr(f"{folder}/cohort.zarr")["table"].layers
    True
    """
    with quiet():
        if path is not None:
            _save_all(sdata, Path(path), overwrite=overwrite)
            logger.info("saved all into %s", path)
            return
        written = save_changes(sdata, progress=progress)
    logger.info("saved into %s: %s", sdata.path, ", ".join(written) or "nothing new")


def _save_all(sdata: SpatialData, path: Path, *, overwrite: bool) -> None:
    check_path(path)
    taken = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if taken and not overwrite:
        raise ValueError(
            f"{path} already exists: choose another path, pass overwrite=True to replace it, or leave out path= to save into the "
            "store that the object has"
        )
    if not taken:
        check_new(path)
        save_new(sdata, path)
        return
    sdata.write(path, overwrite=True)
