from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
import tifffile
from visium_hd_folders import write_matrix

import spatialhist as sh
from spatialhist._sdata.images import levels_of


def write_outs(folder: Path, sdata: sd.SpatialData, slide: str) -> Path:
    """Write a simulated slide as Space Ranger would, without its small images."""
    (folder / "spatial").mkdir(parents=True)
    table = sdata["table"][(sdata["table"].obs["region"] == slide).to_numpy()]
    barcodes = [name.removeprefix(f"{slide}_") for name in table.obs_names]
    write_matrix(folder / "filtered_feature_bc_matrix.h5", barcodes, table.X.toarray(), tuple(table.var_names))
    said = {"bin_size_um": 16.0, "microns_per_pixel": 2.0, "spot_diameter_fullres": 8.0}
    (folder / "spatial/scalefactors_json.json").write_text(json.dumps(said))
    x, y = table.obsm["spatial"].T
    columns = {"barcode": barcodes, "in_tissue": 1, "array_row": table.obs["array_row"].to_numpy()}
    columns |= {"array_col": table.obs["array_col"].to_numpy(), "pxl_row_in_fullres": y, "pxl_col_in_fullres": x}
    pd.DataFrame(columns).to_parquet(folder / "spatial/tissue_positions.parquet", index=False)
    pixels = np.moveaxis(np.asarray(levels_of(sdata[f"{slide}_full_image"])[0]), 0, -1)
    tifffile.imwrite(folder / "slide.tif", pixels, photometric="rgb", tile=(64, 64))
    return folder


@pytest.mark.filterwarnings("ignore:.*says another scale|.*resolution")
def test_it_is_what_the_reader_makes_of_such_files(tmp_path):
    made = sh.datasets.synthetic(2, platform="visium_hd", bin_um=16, size_px=(160, 220), n_genes=8, seed=4)
    folders = {s: write_outs(tmp_path / s / "square_016um", made, s) for s in ("S1", "S2")}
    parts = [
        sh.io.read_visium_hd(folder, bin_um=16, slide=slide, patient="P1", image=folder / "slide.tif")
        for slide, folder in folders.items()
    ]
    read = sh.io.concat(parts)
    ours, theirs = made["table"], read["table"]
    pd.testing.assert_frame_equal(ours.obs, theirs.obs, check_dtype=False, check_categorical=False)
    assert list(ours.var_names) == list(theirs.var_names) and list(ours.var) == list(theirs.var)
    np.testing.assert_array_equal(ours.X.toarray(), theirs.X.toarray())
    assert ours.X.format == theirs.X.format == "csr" and ours.X.dtype == theirs.X.dtype
    np.testing.assert_array_equal(ours.obsm["spatial"], theirs.obsm["spatial"])
    assert ours.uns["spatialdata_attrs"] == theirs.uns["spatialdata_attrs"]
    assert ours.uns["spatial"]["S2"]["scalefactors"] == theirs.uns["spatial"]["S2"]["scalefactors"]
    assert made.attrs["spatialhist"]["slides"] == read.attrs["spatialhist"]["slides"]
    for slide in folders:
        assert made.shapes[slide].equals(read.shapes[slide])
        pixels = [np.asarray(levels_of(s[f"{slide}_full_image"])[0]) for s in (made, read)]
        np.testing.assert_array_equal(*pixels)
