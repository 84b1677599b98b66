"""AnnData files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist._runtime.files import BROKEN, intact, own_hdf5

if TYPE_CHECKING:
    from anndata import AnnData

BROKEN_FILE = "{path} is no AnnData file, or a broken one: {error}"


def read_h5ad(path: Path) -> AnnData:
    """Read a file, all of which lies in the file itself.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is broken, or reads other files.
    """
    import anndata as ad

    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    with intact(path, BROKEN_FILE, errors=(*BROKEN, OSError, RuntimeError)), own_hdf5(path):
        pass
    # anndata has errors of its own, and hands on those of h5py, numpy and pandas
    with intact(path, BROKEN_FILE, errors=(Exception,)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* names are not unique", category=UserWarning)
        warnings.filterwarnings("ignore", category=ad.OldFormatWarning)
        return ad.read_h5ad(path)
