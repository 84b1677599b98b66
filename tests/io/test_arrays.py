from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import spatialdata as sd
import tifffile
from scipy import sparse
from spatialdata.transformations import get_transformation
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


def test_few_spots_outside_the_image_are_told_and_more_refused():
    xy = np.column_stack([20.0 * np.arange(1, 21), np.full(20, 150.0)])
    counts = np.ones((20, 2))
    lower = xy + [0, 140]
    lower[3, 1] = 312
    with pytest.warns(
        UserWarning, match="1 of 20 spots of slide 'S1' lie outside of image 'S1_full_image' of 423 x 300"
    ):
        sh.io.from_arrays(picture(), lower, counts, spot_diameter_px=20)
    with pytest.raises(ValueError, match="5 of 20 spots .* x and y are swapped: give positions as"):
        sh.io.from_arrays(picture(), xy[:, ::-1], counts)
    with pytest.raises(ValueError, match=r"10 of 20 spots .* image at least 1.9 times as large: give that one"):
        sh.io.from_arrays(picture()[::2, ::2], xy, counts)
    with pytest.raises(ValueError, match="20 of 20 spots .* the image is cropped, or of another slide"):
        sh.io.from_arrays(picture(), -xy, counts)


@pytest.fixture
def slide_alone(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, picture(700, 1101), photometric="rgb", tile=(256, 256))
    return sh.io.read_wsi(path, mpp=0.5, patient="P7", store=tmp_path / "x.zarr", progress=False)


def test_spots_are_given_to_a_slide_that_was_read_without(slide_alone, tmp_path):
    with pytest.raises(KeyError, match=r"give one spots with sh.io.from_arrays\(sdata, xy, counts\)"):
        sh.pp.filter_spots(slide_alone)
    sdata = sh.io.from_arrays(slide_alone, XY, COUNTS, slide="T1")
    pyr = pyramid(sdata, "T1_full_image")
    assert pyr.stored is not None
    np.testing.assert_array_equal(read_level(pyr, 0), picture(700, 1101))
    assert sdata.attrs["spatialhist"]["slides"]["T1"]["mpp"] == 0.5
    assert sdata["table"].obs["patient"].unique().tolist() == ["P7"]
    assert set(get_transformation(slide_alone.images["x_full_image"], get_all=True)) == {"x"}
    assert set(get_transformation(sdata.images["T1_full_image"], get_all=True)) == {"T1"}
    after = reread(sdata, tmp_path / "new")
    np.testing.assert_array_equal(read_level(pyramid(after, "T1_full_image"), 0), picture(700, 1101))


def test_an_element_of_an_image_may_be_given(slide_alone):
    element = slide_alone.images["x_full_image"]
    swapped = element["scale0"]["image"].isel(c=[2, 1, 0])
    for image in (element, swapped, (swapped / 255).astype(np.float32)):
        sdata = sh.io.from_arrays(image, XY, COUNTS, mpp=1.0)
        np.testing.assert_array_equal(read_level(pyramid(sdata, "S1_full_image"), 0), picture(700, 1101))
    with pytest.raises(
        ValueError, match="image of slide 'S1' has the channels 'DAPI', 'g', 'b': want red, green and blue"
    ):
        sh.io.from_arrays(swapped.assign_coords(c=["DAPI", "g", "b"]), XY, COUNTS)


def test_several_images_have_to_be_chosen_from(slide_alone):
    slide_alone.images["y_full_image"] = slide_alone.images["x_full_image"]
    with pytest.raises(ValueError, match=r"the images \['x_full_image', 'y_full_image'\]: pass one of them"):
        sh.io.from_arrays(slide_alone, XY, COUNTS)


def test_a_fourth_channel_that_hides_everything_is_refused():
    with pytest.raises(
        ValueError, match="fourth channel of 0, which as alpha would hide all of it: give its first three"
    ):
        sh.io.from_arrays(np.dstack([picture(), np.zeros((300, 423), np.uint8)]), XY, COUNTS)


def test_a_distance_of_spots_that_no_array_has_is_told():
    with pytest.warns(UserWarning, match="spots of slide 'S1' lie 0.5 um apart by mpp=0.01, which no array has"):
        sh.io.from_arrays(picture(), XY, COUNTS, mpp=0.01)


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
