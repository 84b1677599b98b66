"""Every file of a folder cut short or missing: refused by an error of ours that leaves no store, or not needed."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from fuzz_readers import OURS, READERS
from small_xenium import write_cells as write_xenium_cells
from small_xenium import write_landmarks, write_xenium
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


NEEDED = {
    bins: {"filtered_feature_bc_matrix.h5", "scalefactors_json.json", "tissue_positions.parquet"},
    segmented: {"filtered_feature_cell_matrix.h5", "scalefactors_json.json", "cell_segmentations.geojson"},
    xenium: {"experiment.xenium", "transcripts.parquet", "S_he_image.ome.tif", "S_he_imagealignment.csv"},
    xenium_csv: {"experiment.xenium", "cells.csv.gz", "cell_feature_matrix.h5", "S_he_imagealignment.csv"},
    hest: {"A.h5ad", "A.json", "A.tif"},
    sheet: {"filtered_feature_bc_matrix.h5", "scalefactors_json.json", "tissue_positions.parquet", "samples.csv"},
}
"""Files whose first half cannot be read; a table or picture of less needed parts may be shorter."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", NEEDED, ids=lambda make: make.__name__)
@pytest.mark.parametrize("share", [0, 0.25, 0.5, pytest.param(0.75, marks=pytest.mark.slow), None])
def test_a_cut_or_missing_file_is_named_and_leaves_no_store(make, share, tmp_path):
    folder, stores = tmp_path / "data", tmp_path / "stores"
    folder.mkdir()
    stores.mkdir()
    read = make(folder)
    read(stores / "good.zarr")
    for path in (p for p in folder.rglob("*") if p.name in NEEDED[make]):
        good = path.read_bytes()
        path.unlink()
        if share is not None:
            path.write_bytes(good[: int(share * len(good))])
        if share is None and path.suffix in (".tif", ".csv"):  # may be left out
            path.write_bytes(good)
            continue
        with pytest.raises(OURS, match=re.escape(path.name.split(".")[0]) + "|" + re.escape(str(folder))):
            read(stores / "bad.zarr")
        assert [p.name for p in stores.iterdir()] == ["good.zarr"]
        path.write_bytes(good)
