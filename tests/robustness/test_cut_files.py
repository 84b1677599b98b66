"""Every file of a folder cut short or missing: refused by an error of ours that leaves no store, or not needed."""

from __future__ import annotations

import re

import pytest
from fuzz_readers import OURS
from stored_readers import bins, hest, segmented, sheet, xenium, xenium_csv

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
