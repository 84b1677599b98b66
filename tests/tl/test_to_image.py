from __future__ import annotations

import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import HEIGHT, WIDTH, draw_cohort, mean_color
from spatialdata.transformations import Scale, get_transformation, set_transformation

import spatialhist as sh
from spatialhist._sdata.images import affine


def levels_of(element):
    return [np.asarray(element[f"scale{i}"]["image"].data) for i in range(len(element.children))]


def test_a_map_lies_on_its_slide(finished):
    _, cv, stack = finished
    new = draw_cohort(5, n_slides=2, signal=0.8, images_seed=9)
    sh.tl.predict_grid(new, stack, slides="S2", spacing=("pitch", 1), encoder=mean_color, progress=False)
    names = [cv.genes[3], cv.genes[0]]
    sh.tl.to_image(new, names, slide="S2")
    element, table = new["S2_predicted_map"], new["S2_grid_table"]
    full, half = levels_of(element)[:2]
    assert full.shape == (2, HEIGHT // 10, WIDTH // 10)
    assert full.dtype == half.dtype == np.float32
    assert half.shape == (2, HEIGHT // 20, WIDTH // 20)
    assert sd.models.get_channel_names(element) == names
    np.testing.assert_array_equal(affine(element["scale0"]["image"], "S2"), np.diag([10.0, 10.0, 1.0]))
    sh.tl.to_image(new, names, slide="S2", layer="log1p")  # which the spots have, the grid has not
    measured = levels_of(new["S2_log1p_map"])[0]
    assert np.nanmax(measured) > 0
    corners = measured[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.isnan(corners).all()  # no spot lies there, and 0 would be a value
    expected = table[:, names].layers["predicted"]
    for spot in (0, 20, 50):
        x, y = table.obsm["spatial"][spot]
        near = np.hypot(*(table.obsm["spatial"] - (np.floor([x / 10, y / 10]) * 10 + 5)).T) <= 20 / np.sqrt(2)
        np.testing.assert_allclose(full[:, int(y / 10), int(x / 10)], expected[near].mean(axis=0), rtol=1e-4)


def test_measured_spots_and_another_placement(tmp_path):
    sdata = draw_cohort(1, n_slides=2)
    for element in (sdata["S1_full_image"], sdata.shapes["S1"]):
        set_transformation(element, Scale([3.0, 2.0], axes=("x", "y")), "room")
    sh.tl.to_image(sdata, "G2", slide="S1", layer="log1p", step=4.0, key_added="g2")
    np.testing.assert_allclose(
        get_transformation(sdata["g2"], "room").to_affine_matrix(("x", "y"), ("x", "y")), np.diag([12.0, 8.0, 1.0])
    )
    # the second spot lies at (40, 20); its disc reaches 14 pixels, those of its neighbors not to its center
    expected = sdata["table"].to_df("log1p").loc["S1_1", "G2"]
    assert levels_of(sdata["g2"])[0][0, 5, 10] == pytest.approx(expected)
    sdata.write(tmp_path / "s.zarr")
    again = sd.read_zarr(tmp_path / "s.zarr")
    np.testing.assert_array_equal(levels_of(again["g2"])[1], levels_of(sdata["g2"])[1])


def test_twice_replaces_the_map():
    sdata = draw_cohort(1, n_slides=1)
    sh.tl.to_image(sdata, "G2", slide="S1", layer="log1p")
    sh.tl.to_image(sdata, ["G2", "G3"], slide="S1", layer="log1p")
    assert sd.models.get_channel_names(sdata["S1_log1p_map"]) == ["G2", "G3"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"genes": "NONE"}, KeyError, r"1 genes are not in the table, e.g. \['NONE'\]"),
        ({"layer": "predicted"}, KeyError, "make it with sh.tl.predict"),
        ({"slide": "S9"}, KeyError, r"no slide \['S9'\]"),
        ({"step": 0.0}, ValueError, "step=0.0 must be positive"),
        ({"step": 1e-4}, MemoryError, "needs .* GB"),
        ({"key_added": "a b"}, ValueError, "try 'a_b'"),
    ],
)
def test_refused(options, error, message):
    sdata = draw_cohort(1, n_slides=1)
    before = set(sdata.images)
    with pytest.raises(error, match=message):
        sh.tl.to_image(sdata, **{"genes": "G1", "slide": "S1", "layer": "log1p", **options})
    assert set(sdata.images) == before
