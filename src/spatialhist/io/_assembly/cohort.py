"""Slides into one object, in memory or slide by slide into a zarr store."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from spatialhist import _keys
from spatialhist._runtime.files import new_folder
from spatialhist._sdata.compat import quiet
from spatialhist._sdata.records import open_records
from spatialhist.io._saving import exchange

if TYPE_CHECKING:
    from spatialdata import SpatialData


CHAIN = "::"
"""What zarr takes for a chain of file systems, such as a folder within an archive."""


def check_path(store: Path) -> None:
    """Refuse a path that zarr would take for another one.

    Raises
    ------
    ValueError
        With what it would be taken for.
    """
    if CHAIN in str(store):
        raise ValueError(
            f"{store} cannot be the path of a store: zarr takes {CHAIN!r} for a chain of file systems. Rename the folder, or "
            "use a link to it that has another name"
        )


def check_new(store: str | Path | None) -> None:
    """Refuse a store that is there already.

    Raises
    ------
    FileExistsError
        If the path is a file, or a folder that is not empty.
    NotADirectoryError, PermissionError
        If nothing can be written there.
    ValueError
        If zarr would take it for another path.
    """
    if store is None:
        return
    path = Path(store)
    check_path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"store {path} exists: choose another path, or read it with spatialdata.read_zarr")
    _check_place(path)


def _check_place(store: Path) -> None:
    """Refuse a path at which nothing can be written, before anything is read."""
    # the folders between are made with the store
    above = next(folder for folder in store.absolute().parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(f"store {store} cannot be written: {above} is a file; choose another path")
    if not os.access(above, os.W_OK):
        raise PermissionError(f"store {store} cannot be written: {above} is read-only for you; choose another path")


def assemble(parts: Iterable[SpatialData], store: str | Path | None) -> SpatialData:
    """Join one-slide objects, taken one at a time.

    With a store the images of a slide are written and let go before the next slide is asked for.
    """
    from spatialhist._sdata.build import concat_slides

    if store is None:
        return concat_slides(list(parts))
    check_new(store)
    with new_folder(Path(store)) as folder, quiet():
        _write_parts(parts, folder)
    # else what was written would stay in memory beside what is read
    gc.collect()
    return open_store(Path(store))


def _write_parts(parts: Iterable[SpatialData], folder: Path) -> None:
    import spatialdata as sd

    from spatialhist._sdata.build import concat_slides

    root = sd.SpatialData()
    root.write(folder, update_sdata_path=True)
    # shapes and tables stay in memory; pixels are written before the next slide is read
    cohort = concat_slides([_move_images(part, root) for part in parts])
    for name in cohort.shapes:
        root.shapes[name] = cohort.shapes[name]
        root.write_element(name)
    if _keys.TABLE in cohort.tables:
        root.tables[_keys.TABLE] = cohort.tables[_keys.TABLE]
        root.write_element(_keys.TABLE)
    root.attrs = cohort.attrs
    root.write_attrs()
    # last: it lists what has been written
    root.write_consolidated_metadata()


def open_store(store: Path) -> SpatialData:
    """Open a store, after a save that was killed is completed, without what ome-zarr reports of every mask.

    Raises
    ------
    ValueError
        If an image is larger than a slide can be, or zarr would take the path for another one.
    """
    check_path(store)
    import spatialdata as sd

    from spatialhist._sdata.images import check_images

    with quiet():
        exchange.complete(store)
        sdata = sd.read_zarr(store)
    check_images(sdata)
    for table in sdata.tables.values():
        open_records(table)
    return sdata


def write_store(sdata: SpatialData, store: Path) -> SpatialData:
    """Write all of an object into a new store, and return what is read from there."""
    with new_folder(store) as folder, quiet():
        sdata.write(folder, update_sdata_path=False)
    return open_store(store)


def _move_images(part: SpatialData, root: SpatialData) -> SpatialData:
    """Write the images of a slide and drop them from memory."""
    for name in list(part.images):
        root.images[name] = part.images.pop(name)
        root.write_element(name)
        del root.images[name]
    # A pyramid is a tree whose nodes know their parents: its pixels would stay until the next automatic collection.
    gc.collect()
    return part
