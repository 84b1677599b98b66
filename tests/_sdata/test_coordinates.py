"""Tiles of objects that others made show the tissue under the spot, whatever their coordinate systems."""

from __future__ import annotations

import anndata as ad
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import spatialdata as sd
from spatialdata.models import Image2DModel, ShapesModel, TableModel
from spatialdata.transformations import Affine, Identity, Scale, Translation, get_transformation, set_transformation

import spatialhist as sh
from spatialhist._sdata.cohort import open_cohort

AXES = ("x", "y")
XY = np.array([[x, y] for y in range(300, 1300, 200) for x in range(200, 2000, 200)], dtype=float)
RADIUS = 55.0


def foreign(
    image_at, spots_at, *, xy=XY, image="S1_full_image", keys=("region", "spot_id"), ids=None
) -> sd.SpatialData:
    """An object with a picture at a tenth of the size: red is a tenth of the spot's x, green of its y."""
    pixels = np.zeros((3, 150, 210), np.uint8)
    pixels[0], pixels[1] = np.arange(210), np.arange(150)[:, None]
    ids = list(range(len(xy))) if ids is None else ids
    obs = pd.DataFrame(
        {keys[0]: pd.Categorical(["S1"] * len(xy)), keys[1]: ids}, index=[str(i) for i in range(len(xy))]
    )
    table = ad.AnnData(np.ones((len(xy), 2), np.float32), obs=obs)
    shapes = ShapesModel.parse(xy, geometry=0, radius=RADIUS, index=pd.Index(ids), transformations=spots_at)
    return sd.SpatialData(
        images={image: Image2DModel.parse(pixels, dims=("c", "y", "x"), transformations=image_at)},
        shapes={"S1": shapes},
        tables={"table": TableModel.parse(table, region="S1", region_key=keys[0], instance_key=keys[1])},
    )


def check_tiles(sdata, image=None):
    """Mean of a tile is what lies under the spot."""
    spec = sh.tiles.TileSpec(("pitch", 0.2), 4)
    ds = sh.tiles.TileDataset(sdata, spec, image=image)
    found = np.array([np.asarray(ds[i]["tile"])[:2].reshape(2, -1).mean(axis=1) for i in range(len(ds))])
    np.testing.assert_allclose(found, XY / 10 - 0.5, atol=0.6)


SMALLER = Scale([0.1, 0.1], AXES)
TURN = Affine([[0, -2, 3000], [2, 0, 100], [0, 0, 1]], AXES, AXES)
TURNED_TENFOLD = Affine([[0, -20, 3000], [20, 0, 100], [0, 0, 1]], AXES, AXES)
PLACED = {
    "as the contract has it": ({"S1": Scale([10, 10], AXES)}, {"S1": Identity()}),
    "in that of the small image": ({"S1_hires": Identity()}, {"S1_hires": SMALLER}),
    "in global": ({"global": Scale([10, 10], AXES)}, {"global": Identity()}),
    "in global, turned": ({"global": TURNED_TENFOLD}, {"global": TURN}),
    "spots alone in that of the slide": (
        {"global": Scale([10, 10], AXES)}, {"global": Identity(), "S1": Translation([7, 9], AXES)},
    ),
    "image alone in that of the slide": ({"S1_hires": Identity(), "S1": TURN}, {"S1_hires": SMALLER}),
    "in several": ({"S1_hires": Identity(), "global": Scale([10, 10], AXES)}, {"global": Identity(), "S1_hires": SMALLER}),
}  # fmt: skip


@pytest.mark.parametrize("where", PLACED)
def test_spots_and_image_that_share_a_coordinate_system_are_placed(where):
    check_tiles(foreign(*PLACED[where]))


@pytest.mark.parametrize("image", ["S1_hires_image", "registered"])
def test_other_images_are_placed_by_the_spots(image):
    check_tiles(foreign(*PLACED["in global, turned"], image=image), image=image)


def test_the_slide_keeps_the_finer_coordinates():
    sdata = foreign(*PLACED["in that of the small image"])
    open_cohort(sdata)
    np.testing.assert_array_equal(sdata["table"].obsm["spatial"], XY)
    info = sdata.attrs["spatialhist"]["slides"]["S1"]
    assert info == {"pitch_px": 200.0, "spot_diameter_px": pytest.approx(2 * RADIUS), "mpp": None}
    assert sdata["table"].uns["spatial"]["S1"]["scalefactors"]["tissue_hires_scalef"] == pytest.approx(0.1)


def test_spots_in_micrometers_are_taken_in_pixels():
    sdata = foreign({"global": Scale([10, 10], AXES)}, {"global": Scale([4, 4], AXES)}, xy=XY / 4)
    check_tiles(sdata)
    np.testing.assert_allclose(sdata["table"].obsm["spatial"], XY)
    assert sdata.attrs["spatialhist"]["slides"]["S1"]["pitch_px"] == 200


def test_nothing_else_is_moved():
    sdata = foreign(*PLACED["in global, turned"])
    before = get_transformation(sdata.shapes["S1"], "global").to_affine_matrix(AXES, AXES)
    open_cohort(sdata)
    after = get_transformation(sdata.shapes["S1"], get_all=True)
    assert set(after) == {"global", "S1"}
    np.testing.assert_array_equal(after["global"].to_affine_matrix(AXES, AXES), before)


def test_what_shares_no_system_is_named_and_the_advice_works():
    sdata = foreign({"there": Identity()}, {"here": SMALLER})
    sh.pp.log_normalize(sdata)
    with pytest.raises(
        ValueError, match=r"sdata.images\['S1_full_image'\] of slide 'S1' lies in .*\['there'\]"
    ) as said:
        check_tiles(sdata)
    advice = str(said.value).split("where the other is: ")[1]
    exec(advice, {"sdata": sdata})
    with pytest.raises(
        ValueError, match="lie outside of image 'S1_full_image' .* measured on an image at least .* as large"
    ):
        check_tiles(sdata)
    fitting = foreign({"there": Identity()}, {"here": Scale([3, 3], AXES)}, xy=XY / 10)
    sh.pp.log_normalize(fitting)
    exec(advice, {"sdata": fitting})
    check_tiles(fitting)


def test_spots_are_not_placed_on_an_image_that_they_share_nothing_with():
    sdata = foreign({"S1": Scale([3, 3], AXES)}, {"global": Identity()}, xy=XY / 10)
    with pytest.raises(
        ValueError, match=r"sdata.shapes\['S1'\] of slide 'S1' lies in .*\['global'\], not in 'S1'"
    ) as said:
        sh.pp.log_normalize(sdata)
    exec(str(said.value).split("where the other is: ")[1], {"sdata": sdata})
    check_tiles(sdata)


def test_annotations_are_placed_by_the_spots():
    sdata = foreign(*PLACED["in global"])
    left = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 90, 150)])
    sdata.shapes["left"] = ShapesModel.parse(left, transformations={"global": Scale([10, 10], AXES)})
    slide = open_cohort(sdata).slide("S1")
    np.testing.assert_array_equal(slide.inside(slide.centers(), "left"), XY[:, 0] < 900)


def test_an_image_without_spots_takes_its_only_system():
    sdata = foreign({"there": Scale([2, 2], AXES)}, {"here": Identity()})
    del sdata.tables["table"], sdata.shapes["S1"]
    sh.pp.mask_background(sdata, method=lambda pixels: np.ones(pixels.shape[:2], bool))
    assert "S1_full_image_tissue" in sdata.labels


@pytest.mark.parametrize("key", ["instance_id", "location_id", "cell_id"])
def test_keys_are_those_that_the_table_names(key):
    ids = [f"cell-{i}" for i in range(len(XY))]
    sdata = foreign(*PLACED["in global"], keys=("fov", key), ids=ids)
    sdata["table"].obs = sdata["table"].obs.iloc[::-1].set_axis(sdata["table"].obs_names)
    cohort = open_cohort(sdata)
    assert cohort.slides == ["S1"]
    np.testing.assert_array_equal(cohort.slide("S1").centers() * 10, XY[::-1])
    sh.pp.log_normalize(sdata)
    sh.pp.filter_spots(sdata, min_tissue=0, min_counts=1)
    assert sd.get_element_instances(sdata.shapes["S1"]).tolist() == ids
    assert sh.io.concat([sdata])["table"].obs["spot_id"].tolist() == ids[::-1]


def test_another_column_of_the_name_is_refused_and_the_advice_works():
    sdata = foreign(*PLACED["in global"], keys=("region", "cell_id"))
    sdata["table"].obs["spot_id"] = "x"
    with pytest.raises(
        ValueError, match=r"annotated by obs\['cell_id'\], and its obs\['spot_id'\] holds something"
    ) as said:
        open_cohort(sdata)
    exec(str(said.value).split("rename it, ")[1], {"sdata": sdata})
    assert open_cohort(sdata).slides == ["S1"]
    assert sdata["table"].obs["other_spot_id"].eq("x").all()


def test_a_half_size_copy_is_told_at_once_and_refused_by_what_looks_at_it():
    sdata = foreign({"S1": Identity()}, {"S1": Identity()}, xy=XY / 5)
    with pytest.warns(
        UserWarning, match="spots of slide 'S1' lie outside of image 'S1_full_image' of 210 x 150 pixels"
    ):
        sh.pp.log_normalize(sdata)
    with pytest.raises(ValueError, match="measured on an image at least 1.7 times as large"):
        sh.tiles.TileDataset(sdata, sh.tiles.TileSpec(("px", 4), 4))
    set_transformation(sdata.images["S1_full_image"], Scale([2, 2], AXES), "S1")
    check_tiles(sdata)


def test_a_small_copy_under_the_name_of_the_full_image_is_told_by_the_small_one():
    sdata = foreign({"S1": Identity()}, {"S1": Identity()})
    sdata.images["S1_hires_image"] = sdata.images["S1_full_image"]
    sdata.images["S1_hires_image"] = Image2DModel.parse(
        np.zeros((3, 150, 210), np.uint8), dims=("c", "y", "x"), transformations={"S1": Scale([10, 10], AXES)}
    )
    with pytest.warns(
        UserWarning, match="45 of 45 spots .* it is as large as 'S1_hires_image', .* give .* 2100 x 1500"
    ):
        open_cohort(sdata)


@pytest.mark.parametrize(
    "to_global",
    [TURNED_TENFOLD, Affine([[-10, 0, 2100], [0, 10, 0], [0, 0, 1]], AXES, AXES), Translation([40, 7], AXES)],
    ids=["turned", "mirrored", "shifted"],
)
def test_a_slide_has_the_axes_of_its_image_at_the_scale_it_had(to_global):
    """So that squidpy, which draws pictures upright and from the origin, lays spots on their tissue."""
    placed = to_global.to_affine_matrix(AXES, AXES)
    factor = np.sqrt(abs(np.linalg.det(placed[:2, :2])))
    there = XY / 10 @ placed[:2, :2].T + placed[:2, 2]
    sdata = foreign({"global": to_global}, {"global": Identity()}, xy=there)
    slide = open_cohort(sdata).slide("S1")
    np.testing.assert_allclose(slide.xy, XY / 10 * factor)
    np.testing.assert_allclose(slide.centers(), XY / 10)
    np.testing.assert_allclose(sdata["table"].obsm["spatial"], XY / 10 * factor)
    assert slide.scale.pitch_px == pytest.approx(20 * factor)
