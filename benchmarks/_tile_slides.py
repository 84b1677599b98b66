"""Slides that tiles are read from, for the benchmarks."""

from __future__ import annotations

import os
from pathlib import Path

import dask.array as da
import numpy as np
import spatialdata as sd
import zarr

from spatialhist._sdata.build import build_slide
from spatialhist._sdata.images import Pyramid

DATA = Path(os.environ.get("SPATIALHIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def section(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(c, y, x)`` and spot centers of one real slide."""
    import pandas as pd
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    pixels = np.asarray(Image.open(DATA / "her2st" / "images" / f"{name}.jpg").convert("RGB"))
    spots = pd.read_csv(DATA / "her2st" / "spots" / f"{name}.csv")
    return np.moveaxis(pixels, -1, 0), spots[["pixel_x", "pixel_y"]].to_numpy(dtype=float)


def anywhere(image: np.ndarray, n: int) -> np.ndarray:
    """Centers all over an image, in no order."""
    return np.random.default_rng(0).uniform([0, 0], image.shape[:0:-1], (n, 2))


def stored(image, centers: np.ndarray, path: Path, chunk: int) -> sd.SpatialData:
    """Return a slide whose image lies in a store with square chunks."""
    pixels = da.asarray(image).rechunk((3, chunk, chunk))
    counts = np.ones((len(centers), 35))
    genes = [f"g{i}" for i in range(35)]
    slide = build_slide(None, centers, counts, slide="S1", genes=genes, mpp=0.69, pitch_px=200)
    slide.images["S1_full_image"] = sd.models.Image2DModel.parse(
        pixels, dims=("c", "y", "x"), scale_factors=[2, 2, 2], chunks=(3, chunk, chunk),
        transformations={"S1": sd.transformations.Identity()},
    )  # fmt: skip
    slide.write(path)
    return sd.read_zarr(path)


def synthetic_store(path: Path, side: int) -> None:
    """Write a slide chunk by chunk: pieces of a noisy picture, one level."""
    rng = np.random.default_rng(0)
    low = rng.uniform(100, 250, (3, 64, 64)).repeat(24, axis=1).repeat(24, axis=2)
    noise = np.clip(low + rng.normal(0, 12, low.shape), 0, 255).astype(np.uint8)
    array = zarr.create_array(path, shape=(3, side, side), chunks=(3, 512, 512), dtype="uint8")
    for y in range(0, side, 512):
        for x in range(0, side, 512):
            dy, dx = rng.integers(0, noise.shape[1] - 512, 2)
            piece = noise[:, dy : dy + 512, dx : dx + 512]
            array[:, y : y + 512, x : x + 512] = piece[:, : side - y, : side - x]


def visium_slide(folder: Path) -> tuple[sd.SpatialData, np.ndarray]:
    """A 20,000^2 slide with about 5,000 spots 100 um apart on 6.5 mm."""
    synthetic_store(folder / "pixels.zarr", 20_000)
    pitch, rows = 20_000 / 70, 80
    y, x = np.meshgrid(np.arange(rows) * pitch * 0.866, np.arange(64) * pitch, indexing="ij")
    centers = np.stack([x + pitch / 2 * (np.arange(rows) % 2)[:, None] + 900, y + 90], axis=-1).reshape(-1, 2)
    return stored(da.from_zarr(folder / "pixels.zarr"), centers, folder / "slide.zarr", 512), centers


def one_level(path: Path) -> Pyramid:
    array = zarr.open_array(path, mode="r")
    return Pyramid("S1_full_image", (da.from_zarr(array),), ((1.0, 1.0),), (array,))


def forget_pages(path: Path) -> None:
    """Drop a store's files from the page cache."""
    for file in path.rglob("*"):
        if file.is_file() and hasattr(os, "posix_fadvise"):
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
