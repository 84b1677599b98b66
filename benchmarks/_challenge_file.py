"""A file in the challenge's format, simulated: six training slides, one test slide, 35 targets."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_level

N_TRAIN = 6
UM_PER_PX = 4.0
SMALLEST = 0.01


def write_challenge(path: Path, *, size_px: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Write the file; returns what the test slide's spots hold, which the file does not tell."""
    sdata = sh.datasets.synthetic(
        N_TRAIN + 1, n_patients=N_TRAIN + 1, size_px=size_px, mpp=UM_PER_PX, n_genes=35, seed=seed
    )
    table = sdata["table"]
    abundance = np.asarray(table.X.todense(), dtype=np.float32) / 100 + SMALLEST
    with h5py.File(path, "w") as file:
        for i in range(N_TRAIN + 1):
            part = "Train" if i < N_TRAIN else "Test"
            rows = (table.obs["region"] == f"S{i + 1}").to_numpy()
            pixels = read_level(pyramid(sdata, f"S{i + 1}_full_image"), 0)
            file[f"images/{part}/S_{i + 1}"] = pixels.astype(np.float32) / 255
            file[f"spots/{part}/S_{i + 1}"] = _records(table.obsm["spatial"][rows], abundance[rows], part == "Train")
    return abundance[rows]


def _records(xy: np.ndarray, abundance: np.ndarray, with_targets: bool) -> np.ndarray:
    columns = {"x": xy[:, 0].round().astype(int), "y": xy[:, 1].round().astype(int)}
    if with_targets:
        columns |= {f"C{k + 1}": values for k, values in enumerate(abundance.T)}
    else:
        columns["Test_Set"] = 1 + np.arange(len(xy)) % 2
    records = np.empty(len(xy), dtype=[(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        records[name] = values
    return records
