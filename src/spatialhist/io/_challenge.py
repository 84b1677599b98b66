"""The HDF5 file of the Elucidata AI Challenge 2025."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spatialhist import _keys
from spatialhist._runtime.files import BROKEN, intact, own_hdf5

if TYPE_CHECKING:
    import h5py
    from spatialdata import SpatialData

logger = logging.getLogger(__name__)

TRAIN, TEST = "Train", "Test"
MAX_SPOTS = 10_000_000
"""A file that promises more spots of one slide is refused before memory is asked for."""
PITCH_UM = 100.0
"""Visium spots are 100 um apart; the file does not say so."""


def read_challenge(h5: str | Path, *, store: str | Path | None = None) -> SpatialData:
    """Read training and test slides of the challenge into one object.

    Parameters
    ----------
    h5
        File with ``images/{Train,Test}/S_k`` (H x W x 3, float in [0, 1]) and ``spots/{Train,Test}/S_k`` (records
        with ``x`` and ``y`` in pixels and, for training slides, the abundances ``C1``, ``C2``, …).
    store
        New zarr store to write to; the image of a slide leaves memory before the next one is read.

    Returns
    -------
    SpatialData
        One SpatialData; ``X`` holds the abundances. Test slides have ``obs["measured"]`` False and zeros, and
        ``obs["Test_Set"]`` where the file has it. ``mpp`` is 100 µm over the distance of neighboring spots.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileExistsError
        If the store exists.
    ValueError
        If the file is not HDF5, lacks a group or field, or pixels lie outside [0, 1].

    Examples
    --------
    >>> import spatialhist as sh
    >>> sdata = sh.io.read_challenge("elucidata_ai_challenge_data.h5")  # doctest: +SKIP
    """
    import h5py

    from spatialhist.io._assembly.cohort import assemble, check_new

    path = Path(h5)
    check_new(store)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    # told apart from a broken file, which is one by its first bytes
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an HDF5 file")
    with ExitStack() as stack:
        with _decoded(path):
            file = stack.enter_context(own_hdf5(path))
        sdata = assemble(_slides(file), store)
    logger.info("read %d spots and %d targets from %s", *sdata[_keys.TABLE].shape, path)
    return sdata


def _decoded(path: str | Path) -> AbstractContextManager[None]:
    """Say that a file is broken, whatever part of HDF5 finds out."""
    return intact(path, "{path} is broken: {error}", errors=(*BROKEN, MemoryError, OSError, RuntimeError))


def _slides(file: h5py.File) -> Iterator[SpatialData]:
    """Training slides, then test slides, one at a time."""
    with _decoded(file.filename):
        train, test = (_records(file, part) for part in (TRAIN, TEST))
    if not train:
        raise ValueError(f"{file.filename} has no slides in spots/{TRAIN}")
    targets = _targets(train, file.filename)
    for part, slides in ((TRAIN, train), (TEST, test)):
        for slide, spots in slides.items():
            yield _build(file, part, slide, spots, targets)


def _records(file: h5py.File, part: str) -> dict[str, np.ndarray]:
    """Spots of every slide of one part, in the order of the slides' numbers."""
    group = _members(file, f"spots/{part}")
    for slide, spots in group.items():
        fields = spots.dtype.names or ()
        if spots.size > MAX_SPOTS:
            raise ValueError(
                f"{file.filename}: spots/{part}/{slide} has shape {spots.shape}: up to {MAX_SPOTS:,} spots"
            )
        if not {"x", "y"} <= set(fields):
            raise ValueError(f"{file.filename}: spots/{part}/{slide} lacks fields x and y; it has {list(fields)}")
    return {slide: group[slide][:] for slide in sorted(group, key=lambda name: (len(name), name))}


def _members(file: h5py.File, key: str) -> dict[str, h5py.Dataset]:
    """Arrays of a group.

    Raises
    ------
    ValueError
        If one is no array.
    """
    import h5py

    group = file.get(key)
    if group is None:
        return {}
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{file.filename}: {key} is no group")
    for name, node in group.items():
        if not isinstance(node, h5py.Dataset):
            raise ValueError(f"{file.filename}: {key}/{name} is no array")
    return dict(group.items())


def _targets(train: dict[str, np.ndarray], name: str) -> list[str]:
    fields = {slide: [f for f in _fields(spots) if f not in ("x", "y")] for slide, spots in train.items()}
    first = next(iter(fields.values()))
    differ = [slide for slide, targets in fields.items() if targets != first]
    if differ or not first:
        raise ValueError(f"{name}: training slides {differ or list(fields)} do not have the same targets as the first")
    return first


def _fields(spots: np.ndarray) -> tuple[str, ...]:
    """Names of the columns; an array of plain numbers has none."""
    return spots.dtype.names or ()


def _build(file: h5py.File, part: str, slide: str, spots: np.ndarray, targets: list[str]) -> SpatialData:
    from spatialhist._sdata.lattice import lattice_pitch
    from spatialhist.io._assembly.slide import make_slide

    xy = np.column_stack([spots["x"], spots["y"]]).astype(float)
    counts = np.zeros((len(xy), len(targets)), dtype=np.float32)
    if part == TRAIN:
        counts[:] = np.column_stack([spots[t] for t in targets])
    pitch = lattice_pitch(xy)
    with _decoded(file.filename):
        pixels = np.moveaxis(_read_image(file, f"images/{part}/{slide}"), -1, 0)
    return make_slide(
        pixels,
        xy,
        counts,
        slide=slide,
        genes=targets,
        mpp=PITCH_UM / pitch if pitch else None,
        pitch_px=pitch,
        measured=part == TRAIN,
        obs=pd.DataFrame({f: spots[f] for f in _fields(spots) if f not in ("x", "y", *targets)}),
    )


def _read_image(file: h5py.File, key: str) -> np.ndarray:
    """Pixels as uint8, converted block by block."""
    from spatialhist._sdata.rgb import to_uint8
    from spatialhist.io._images.arrays import check_pixels, convert_rows

    image: Any = _members(file, key.rpartition("/")[0]).get(key.rpartition("/")[2])
    name = f"{file.filename}: {key}"
    if image is None or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{name} is missing or not of shape (height, width, 3)")
    check_pixels(image.shape[0], image.shape[1], name)
    return convert_rows(image, lambda rows: rows if rows.dtype == np.uint8 else to_uint8(rows, name))
