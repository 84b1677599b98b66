from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
from scipy import sparse
from tests.io.conftest import picture

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_level

XY = np.array([[100.0, 50.0], [150.0, 50.0], [200.0, 50.0]])
COUNTS = np.array([[1, 0], [2, 3], [0, 4]])


def reread(sdata, folder):
    sdata.write(folder / "x.zarr")
    return sd.read_zarr(folder / "x.zarr")


@pytest.mark.parametrize("first", [False, True])
def test_either_order_of_axes(first):
    image = np.moveaxis(picture(), -1, 0) if first else picture()
    sdata = sh.io.from_arrays(image, XY, COUNTS, genes=["A", "B"])
    np.testing.assert_array_equal(read_level(pyramid(sdata, "S1_full_image"), 0), picture())


def test_everything_survives_the_store(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "spatialhist"):
        sdata = sh.io.from_arrays(
            picture(), XY, COUNTS, slide="T1", patient="P1", mpp=0.5, spot_diameter_px=30, spot_ids=["a", "b", "c"]
        )
    assert "made slide 'T1' with 3 spots and 2 genes" in caplog.text
    after = reread(sdata, tmp_path)
    assert after.attrs["spatialhist"]["slides"]["T1"] == {"mpp": 0.5, "pitch_px": 50.0, "spot_diameter_px": 30}
    assert after["table"].var_names.tolist() == ["gene_0", "gene_1"]
    assert after["table"].obs["spot_id"].tolist() == after.shapes["T1"].index.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(after["table"].X, COUNTS)
    np.testing.assert_array_equal(after["table"].obsm["spatial"], XY)
    assert after["table"].X.dtype == np.float32


def test_sparse_counts_and_data_frame():
    frame = pd.DataFrame(COUNTS, columns=["A", "B"])
    dense = sh.io.from_arrays(picture(), XY, frame)["table"]
    thin = sh.io.from_arrays(picture(), XY, sparse.coo_matrix(COUNTS), genes=["A", "B"])["table"]
    assert thin.X.format == "csr"
    pd.testing.assert_frame_equal(dense.to_df(), thin.to_df())


@pytest.mark.parametrize("genes", [None, ["A", "B"]])
def test_slide_to_be_predicted(tmp_path, genes):
    after = reread(sh.io.from_arrays(picture(), XY, genes=genes), tmp_path)["table"]
    assert after.shape == (3, len(genes or []))
    assert not after.obs["measured"].any()
    assert not after.X.sum()


def test_measured_slide_kept_out_of_training():
    table = sh.io.from_arrays(picture(), XY, COUNTS, measured=False)["table"]
    assert not table.obs["measured"].any()
    assert table.X.sum() == COUNTS.sum()


def test_spots_outside_the_image_are_counted():
    swapped = np.array([[50.0, 100.0], [50.0, 305.0], [50.0, 400.0]])
    with pytest.warns(UserWarning, match="1 of 3 spots of slide 'S1' lie outside its image of 423 x 300"):
        sh.io.from_arrays(picture(), swapped, COUNTS, spot_diameter_px=20)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"slide": "a b"}, ValueError, "slide id 'a b' must hold only .*; try 'a_b'"),
        ({"slide": "table"}, ValueError, "slide id 'table'"),
        ({"slide": ""}, ValueError, "slide id ''"),
        ({"xy": XY.T}, ValueError, r"xy of slide 'S1' has shape \(2, 3\)"),
        ({"xy": np.empty((0, 2))}, ValueError, "n > 0"),
        ({"xy": XY * [1, np.nan]}, ValueError, "3 of 3 spots of slide 'S1' have no finite position"),
        ({"counts": COUNTS[:2]}, ValueError, r"counts of slide 'S1' have shape \(2, 2\); want 3 spots x 2 genes"),
        ({"counts": COUNTS[0]}, ValueError, r"counts have shape \(2,\)"),
        ({"counts": COUNTS - 1}, ValueError, "counts of slide 'S1' are negative, down to -1"),
        ({"counts": COUNTS / [np.nan, 1]}, ValueError, "3 counts of slide 'S1' are missing or infinite"),
        ({"genes": ["A", "A"]}, ValueError, "genes of slide 'S1' repeat, e.g. A"),
        ({"genes": ["A"]}, ValueError, "want 3 spots x 1 genes"),
        ({"spot_ids": [1, 2]}, ValueError, "3 spots, but 2 spot ids"),
        ({"spot_ids": [1, 2, 1]}, ValueError, "spot ids of slide 'S1' repeat, e.g. 1"),
        ({"spot_ids": [0.5, 1.5, 2.5]}, TypeError, "spot ids of slide 'S1' are floating"),
        ({"spot_ids": [1, "2", 3]}, TypeError, "spot ids of slide 'S1' are mixed-integer"),
        ({"mpp": 0}, ValueError, "mpp of slide 'S1' is 0"),
        ({"spot_diameter_px": np.inf}, ValueError, "spot_diameter_px of slide 'S1' is inf"),
        ({"image": np.zeros((3, 40, 3), np.uint8)}, ValueError, "either end could be the channels"),
    ],
)
def test_bad_input_names_the_value(change, error, message):
    arguments = {"image": picture(), "xy": XY, "counts": COUNTS} | change
    with pytest.raises(error, match=message):
        sh.io.from_arrays(**arguments)
