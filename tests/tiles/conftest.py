from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from spatialhist._sdata.images import Pyramid

HEIGHT, WIDTH = 301, 422
FACTORS = (1, 2, 4)


def shrink_by(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Average whole blocks of `factor` pixels, cutting off what does not fill one."""
    c, h, w = pixels.shape
    h, w = h // factor, w // factor
    blocks = pixels[:, : h * factor, : w * factor].reshape(c, h, factor, w, factor)
    return blocks.mean(axis=(2, 4)).astype(np.uint8)


def write_pyramid(store, pixels: np.ndarray, *, chunks=(3, 64, 64), zarr_format=3) -> Pyramid:
    """Write the levels of an image into a zarr store and return its pyramid."""
    group = zarr.open_group(store, mode="w", zarr_format=zarr_format)
    arrays = []
    for i, factor in enumerate(FACTORS):
        level = shrink_by(pixels, factor)
        array = group.create_array(f"s{i}", shape=level.shape, dtype="uint8", chunks=chunks)
        array[:] = level
        arrays.append(array)
    return stored_pyramid(arrays)


def stored_pyramid(arrays) -> Pyramid:
    factors = tuple((float(f), float(f)) for f in FACTORS)
    return Pyramid("S1_full_image", tuple(da.from_zarr(a) for a in arrays), factors, tuple(arrays))


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """An image of noise `(c, y, x)` whose sides differ and are no multiples of the chunks."""
    return np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH), dtype=np.uint8)


@pytest.fixture(scope="session")
def pyramid(pixels, tmp_path_factory) -> Pyramid:
    return write_pyramid(tmp_path_factory.mktemp("tiles") / "image.zarr", pixels)


@pytest.fixture(scope="session")
def level_pixels():
    """Return the function that makes the pixels of a level."""
    return shrink_by


@pytest.fixture(scope="session")
def make_pyramid():
    """Return the function that writes an image into a store and gives its pyramid."""
    return write_pyramid
