from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd
from tests.io.conftest import picture

import spatialhist as sh

XY = np.array([[100.0, 50.0], [150.0, 50.0]])


def test_cohort_of_a_measured_and_an_unmeasured_slide(tmp_path):
    a = sh.io.from_arrays(picture(), XY, np.array([[1, 2], [3, 4]]), genes=["A", "B"], slide="a", patient="P1")
    b = sh.io.from_arrays(picture(200, 311), XY, slide="b", spot_ids=["x", "y"])
    sh.io.concat([a, b]).write(tmp_path / "x.zarr")
    table = sd.read_zarr(tmp_path / "x.zarr")["table"]
    assert table.obs["measured"].tolist() == [True, True, False, False]
    assert table.varm["measured"].to_numpy().tolist() == [[True, False], [True, False]]
    np.testing.assert_array_equal(table.to_df().to_numpy(), [[1, 2], [3, 4], [0, 0], [0, 0]])


def test_nothing_to_join():
    with pytest.raises(ValueError, match="parts is empty"):
        sh.io.concat([])
