"""What libraries do and announce of themselves, which no user can act on."""

from __future__ import annotations

import atexit
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zarr
from zarr.core import sync

from spatialhist import _keys

if TYPE_CHECKING:
    from anndata import AnnData

SECONDS_AT_EXIT = 10
"""That a thread of zarr may take to finish what it does when Python exits."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence known announcements of anndata, ome-zarr and squidpy, and nothing else."""
    reader = logging.getLogger("ome_zarr.reader")
    with warnings.catch_warnings():
        # anndata announces a default of a later release, at every array it writes
        warnings.filterwarnings("ignore", message="zarr v3 autosharding", category=UserWarning)
        # zarr, of the hidden folder that a store of ours has
        warnings.filterwarnings("ignore", message=rf"Object at \{_keys.STORE_FOLDER}", category=UserWarning)
        # squidpy's docstring templates, at its import
        warnings.filterwarnings("ignore", message=".* is not a valid key!", category=SyntaxWarning)
        # squidpy's tissue detection, of an argument of scikit-image
        warnings.filterwarnings("ignore", message="Parameter `area_threshold` is deprecated", category=FutureWarning)
        reader.addFilter(_is_news)
        try:
            yield
        finally:
            reader.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Masks of a SpatialData have no image as a parent, which ome-zarr reports for each of them."""
    return not record.msg.startswith("no parent found")


def layer_names(table: AnnData) -> list[str]:
    """Names of the layers, sorted, since a store lists them in any order; anndata from 0.13 on has ``X`` among them, as None."""
    return sorted(name for name in table.layers if name is not None)


def write_part(group: zarr.Group, path: str, value: Any) -> None:
    """Write a value under a path of several names, which anndata from 0.13 on does not take apart itself."""
    from anndata.io import write_elem

    parent, _, name = path.rpartition("/")
    write_elem(group.require_group(parent) if parent else group, name, value)


def _end_loop_of_zarr() -> None:
    """Wait for the thread of zarr's event loop, then let zarr close it.

    Of its own, zarr waits a fifth of a second; where the thread is busy for longer, an error is printed at exit.
    """
    loop, thread = sync.loop[0], sync.iothread[0]
    if loop is None or thread is None:
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SECONDS_AT_EXIT)
    if not thread.is_alive():
        sync.cleanup_resources()


# runs before zarr's own, which was registered first
atexit.register(_end_loop_of_zarr)
