"""Small folders of every format, each with the call that reads it into a store."""

from __future__ import annotations

import pandas as pd
from fuzz_readers import READERS
from PIL import Image
from small_xenium import write_cells as write_xenium_cells
from small_xenium import write_landmarks, write_xenium
from tests.io.conftest import picture, write_space_ranger
from visium_hd_folders import write_bins, write_cells

import spatialhist as sh


def bins(folder):
    write_bins(folder)
    return lambda store: sh.io.read_visium_hd(folder, store=store)


def segmented(folder):
    write_cells(folder)
    return lambda store: sh.io.read_visium_hd(folder, bin_um="cells", store=store)


def xenium(folder):
    output = write_xenium(folder / "out")
    return lambda store: sh.io.read_xenium(output, spots=("um", 17), store=store)


def xenium_csv(folder):
    output = write_xenium(folder / "out")
    pd.read_parquet(output / "transcripts.parquet").to_csv(output / "transcripts.csv.gz", index=False)
    write_xenium_cells(output, kind="cells.csv.gz")
    write_landmarks(output / "S_he_imagealignment.csv")
    for name in ("transcripts.parquet", "cells.parquet"):
        (output / name).unlink()
    return lambda store: sh.io.read_xenium(output, spots="cells", store=store)


def hest(folder):
    READERS["hest metadata"](folder)
    return lambda store: sh.io.read_hest(folder, store=store)


def sheet(folder):
    write_bins(folder / "lung")
    (folder / "samples.csv").write_text("path,slide,patient\nlung,S1,P1\n")
    return lambda store: sh.io.read(folder / "samples.csv", store=store)


def visium(folder):
    write_space_ranger(folder / "outs", header=True)
    Image.fromarray(picture()).save(folder / "full.png")
    return lambda store: sh.io.read_visium(folder / "outs", image=folder / "full.png", store=store)


def h5ad(folder):
    READERS["h5ad"](folder)
    return lambda store: sh.io.read(folder / "a.h5ad", store=store)


def pooled(folder):
    write_bins(folder / "lung")
    return lambda store: sh.io.read(folder / "lung", pool_um=20, store=store)
