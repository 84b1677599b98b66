from __future__ import annotations

import h5py
import numpy as np
import pytest
import spatialdata as sd
from tests.io.conftest import picture

import spatialhist as sh
from spatialhist._sdata.images import pyramid, read_level
from spatialhist.io._images import arrays


@pytest.mark.parametrize("stored", [False, True])
def test_train_and_test_in_one_object(challenge, tmp_path, monkeypatch, stored):
    monkeypatch.setattr(arrays, "ROWS", 99)
    store = tmp_path / "x.zarr"
    sdata = sh.io.read_challenge(challenge, store=store if stored else None)
    if not stored:
        sdata.write(store)
        sdata = sd.read_zarr(store)
    table = sdata["table"]
    assert table.obs["region"].unique().tolist() == ["S_2", "S_10", "S_7"]
    assert table.var_names.tolist() == ["C1", "C2", "C3"]
    test = (table.obs["region"] == "S_7").to_numpy()
    assert (table.obs["measured"].to_numpy() != test).all()
    assert not table.X[test].any()
    assert table.varm["measured"].all().tolist() == [True, True, False]
    assert set(table.obs["Test_Set"][test]) <= {1, 2}
    with h5py.File(challenge) as file:
        np.testing.assert_array_equal(table.X[4:7, 1], file["spots/Train/S_10"]["C2"])
    np.testing.assert_array_equal(table.obsm["spatial"][1], [75, 30])
    np.testing.assert_array_equal(read_level(pyramid(sdata, "S_7_full_image"), 0), picture())
    assert sdata.attrs["spatialhist"]["slides"]["S_7"]["mpp"] == 4.0


def test_submission_has_the_order_of_the_file(challenge, tmp_path):
    sdata = sh.io.read_challenge(challenge)
    sdata["table"].layers["predicted"] = np.arange(36, dtype=np.float32).reshape(12, 3)
    sh.io.write_submission(sdata, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().split()
    assert lines[:2] == ["ID,C1,C2,C3", "0,21.0,22.0,23.0"]
    assert len(lines) == 6


def test_pixels_that_are_bytes_already(challenge):
    with h5py.File(challenge, "a") as file:
        del file["images/Test/S_7"]
        file["images/Test/S_7"] = picture()
    sdata = sh.io.read_challenge(challenge)
    np.testing.assert_array_equal(read_level(pyramid(sdata, "S_7_full_image"), 0), picture())


def test_file_without_test_slides(challenge):
    with h5py.File(challenge, "a") as file:
        del file["spots/Test"]
    assert sh.io.read_challenge(challenge)["table"].obs["measured"].all()


def put(file, key, value) -> None:
    del file[key]
    if value is not None:
        file[key] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("spots/Train", None, "no slides in spots/Train"),
        ("images/Test/S_7", None, "images/Test/S_7 is missing"),
        ("images/Test/S_7", np.zeros((40, 50), np.float32), "images/Test/S_7 is missing or not of shape"),
        ("images/Test/S_7", np.full((40, 50, 3), 200.0), r"images/Test/S_7 holds floats from 200.0 to 200.0"),
        ("spots/Test/S_7", np.zeros(3, dtype=[("x", "i4")]), r"S_7 lacks fields x and y; it has \['x'\]"),
        ("spots/Train/S_10", np.zeros(3, dtype=[("x", "i4"), ("y", "i4"), ("C1", "f4")]), r"\['S_10'\] do not have"),
    ],
)
def test_bad_content_is_named(challenge, key, value, message):
    with h5py.File(challenge, "a") as file:
        put(file, key, value)
    with pytest.raises(ValueError, match=message):
        sh.io.read_challenge(challenge)


def test_huge_image_is_refused_before_it_is_allocated(challenge):
    with h5py.File(challenge, "a") as file:
        del file["images/Train/S_2"]
        file.create_dataset("images/Train/S_2", shape=(60_000, 60_000, 3), dtype="f4", chunks=(64, 64, 3))
    with pytest.raises(ValueError, match="60000 x 60000 pixels"):
        sh.io.read_challenge(challenge)


def test_not_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.h5"):
        sh.io.read_challenge(tmp_path / "nothing.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match="text.h5 is not an HDF5 file"):
        sh.io.read_challenge(tmp_path / "text.h5")
