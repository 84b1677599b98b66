"""her2st slides as a stored cohort, for the benchmarks."""

from __future__ import annotations

import argparse
import shutil
import warnings
from pathlib import Path

import spatialdata as sd

import spatialhist as sh


def stored_cohort() -> sd.SpatialData:
    """Read the folder named by `--data` into the store named by `--store`, once."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/her2st"))
    parser.add_argument("--store", type=Path, default=Path("runs/her2st.zarr"))
    args = parser.parse_args()
    return read_cohort(args.data, args.store)


def read_cohort(data: Path, store: Path) -> sd.SpatialData:
    """Read a folder into a store, once."""
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        sh.io.read_st(data).write(store)
    return sd.read_zarr(store)


def take_features(features: Path, out: Path) -> None:
    """Copy features that earlier runs have computed into a new run folder, which may not link to another place."""
    features.mkdir(parents=True, exist_ok=True)
    shutil.copytree(features, out / "cache", dirs_exist_ok=True)


def keep_features(out: Path, features: Path) -> None:
    """Copy features that a run has computed to where the next one finds them."""
    shutil.copytree(out / "cache", features, dirs_exist_ok=True)
