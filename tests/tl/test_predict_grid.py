from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
import spatialdata as sd
from small_cohorts import FAST, HEIGHT, WIDTH, draw_cohort, lattice, mean_color
from spatialdata.models import ShapesModel
from spatialdata.transformations import Identity, Scale, Sequence, get_transformation, set_transformation

import spatialhist as sh
from spatialhist._sdata.compat import layer_names
from spatialhist._sdata.images import add_mask
from spatialhist._sdata.scale import slide_info

SPACING = ("px", 40.0)
"""A square lattice of it meets every other spot of the cohort's, in both directions."""


def take_spots_away(sdata):
    """Leave images, masks and the scale of pixels."""
    for slide in list(sdata.shapes):
        del sdata.shapes[slide]
        slide_info(sdata, slide).update(pitch_px=None, spot_diameter_px=None)
    del sdata.tables["table"]
    return sdata


@pytest.fixture
def new():
    """Two slides that no run has seen, with the spots of others."""
    return draw_cohort(5, n_slides=2, signal=0.8, images_seed=9)


def shared_spots(grid):
    """Rows of the grid that lie on spots of the cohort, and rows of those spots in one slide."""
    index = {tuple(p): i for i, p in enumerate(lattice())}
    found = [(i, index[tuple(p)]) for i, p in enumerate(grid.obsm["spatial"]) if tuple(p) in index]
    assert len(found) > 20
    return np.array(found).T


def test_without_spots_it_predicts_what_predict_says_at_spots(finished, new):
    _, _, stack = finished
    sh.tl.predict(new, stack, encoder=mean_color, progress=False)
    expected = new["table"][new["table"].obs["region"] == "S2"].to_df("predicted")[stack.cv.genes].to_numpy()
    take_spots_away(new)
    sh.tl.predict_grid(new, stack, spacing=SPACING, lattice="square", encoder=mean_color, block=7, progress=False)
    table = new["S2_grid_table"]
    rows, spots = shared_spots(table)
    np.testing.assert_allclose(table.layers["predicted"][rows], expected[spots], rtol=1e-4, atol=1e-5)
    assert table.layers["predicted"].dtype == np.float32
    assert list(new.tables) == ["S1_grid_table", "S2_grid_table"]


def test_blocks_do_not_matter(finished, new):
    _, _, stack = finished
    layers = []
    for block in (5, 4096):
        sh.tl.predict_grid(new, stack, slides="S1", spacing=SPACING, encoder=mean_color, block=block, progress=False)
        layers.append(new["S1_grid_table"].layers["predicted"])
    np.testing.assert_allclose(*layers, rtol=1e-4, atol=1e-5)


def test_a_slide_of_the_run_is_predicted_by_the_fold_that_left_it_out(finished):
    _, cv, stack = finished
    sdata = draw_cohort(1, signal=0.8)
    sh.tl.predict(sdata, stack, slides="S3", encoder=mean_color, progress=False)
    expected = sdata["table"][sdata["table"].obs["region"] == "S3"].to_df("predicted")[cv.genes].to_numpy()
    sh.tl.predict_grid(sdata, stack, slides="S3", spacing=SPACING, lattice="square", encoder=mean_color, progress=False)
    rows, spots = shared_spots(sdata["S3_grid_table"])
    np.testing.assert_allclose(sdata["S3_grid_table"].layers["predicted"][rows], expected[spots], rtol=1e-4, atol=1e-5)


def test_a_slide_of_a_fitted_model_is_refused(tmp_path):
    sdata = draw_cohort(1)
    model = sh.tl.fit(sdata, models="ridge", genes=4, slides=["S1", "S2"], out=tmp_path / "m", **FAST)
    with pytest.raises(ValueError, match="slide 'S2' was trained on"):
        sh.tl.predict_grid(sdata, model, slides=["S3", "S2"], encoder=mean_color, progress=False)
    assert "S3_grid_table" not in sdata.tables


def test_what_is_added(finished, new, tmp_path):
    _, cv, stack = finished
    slide_info(new, "S1")["mpp"] = 4.0
    take_spots_away(new)
    slide_info(new, "S1")["patient"] = "P9"
    with pytest.warns(UserWarning, match="the model was trained at"):
        sh.tl.predict_grid(new, stack, slides="S1", key_added="map", encoder=mean_color, progress=False)
    shapes, table = new.shapes["S1_grid"], new["S1_grid_table"]
    # 20 px of 2 um in training, so 10 px of 4 um; Visium's diameter of 0.55 spot spacings, at which spots touch
    sizes = {"pitch_px": pytest.approx(5.5), "spot_diameter_px": pytest.approx(5.5)}
    expected = {"mpp": 4.0, **sizes, "image": "S1_full_image"}
    assert slide_info(new, "S1_grid") == expected
    assert shapes.radius.unique() == pytest.approx([2.75])
    assert len(shapes) == pytest.approx(WIDTH * HEIGHT / (5.5**2 * np.sqrt(3) / 2), rel=0.05)
    assert list(table.var_names) == cv.genes
    assert layer_names(table) == ["map", "map_lower", "map_upper"]
    assert list(table.obs["out_of_distribution"].dtype.descr) == [("", "<f4")]
    assert not table.obs["measured"].any()
    assert table.obs["patient"].unique().tolist() == ["P9"]
    np.testing.assert_array_equal(table.obsm["spatial"], np.column_stack([shapes.geometry.x, shapes.geometry.y]))
    made = table.uns["spatialhist"]["map"]
    assert made["step"] == "predict_grid"
    assert made["target"] == "log1p"
    assert made["fitted_on"] == ["S1", "S2", "S3", "S4"]
    assert made["lattice"] == "hex"
    assert made["spacing_px"] == pytest.approx(5.5)
    new.write(tmp_path / "new.zarr")
    again = sd.read_zarr(tmp_path / "new.zarr")
    np.testing.assert_array_equal(again["S1_grid_table"].layers["map"], table.layers["map"])
    np.testing.assert_array_equal(again["S1_grid_table"].obs["out_of_distribution"], table.obs["out_of_distribution"])
    assert set(sd.transformations.get_transformation(again.shapes["S1_grid"], get_all=True)) == {"S1", "S1_grid"}


def test_a_grid_is_drawn_like_any_slide(finished, new):
    _, cv, stack = finished
    take_spots_away(new)
    sh.tl.predict_grid(new, stack, slides="S2", spacing=SPACING, encoder=mean_color, progress=False)
    axes = sh.pl.genes(new, cv.genes[:1], layers="predicted", table_key="S2_grid_table")
    assert axes.shape == (1, 1, 1)
    assert len(axes[0, 0, 0].collections[0].get_array()) == len(new.shapes["S2_grid"])
    assert axes[0, 0, 0].images


def test_a_second_grid_replaces_the_first(finished, new):
    _, _, stack = finished
    options = {"slides": "S1", "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(new, stack, spacing=("pitch", 2.0), **options)
    first = len(new["S1_grid_table"])
    sh.tl.predict_grid(new, stack, spacing=("pitch", 1.0), key_added="fine", **options)
    assert len(new["S1_grid_table"]) == len(new.shapes["S1_grid"]) > 3 * first
    assert layer_names(new["S1_grid_table"]) == ["fine", "fine_lower", "fine_upper"]


def test_only_tissue_gets_spots(finished, new):
    _, _, stack = finished
    mask = np.zeros((HEIGHT // 4, WIDTH // 4), dtype=bool)
    mask[:20, 30:] = True
    del new.labels["S1_full_image_tissue"]
    add_mask(new, mask, image="S1_full_image")
    sh.tl.predict_grid(new, stack, slides="S1", encoder=mean_color, progress=False)
    x, y = new["S1_grid_table"].obsm["spatial"].T
    assert x.min() >= 120
    assert y.max() < 80


def test_another_scale_is_warned_of(finished, new):
    _, _, stack = finished
    slide_info(new, "S1")["mpp"] = 0.9
    with pytest.warns(UserWarning, match="'S1' has 0.9 um per pixel, the model was trained at 2 to 2"):
        sh.tl.predict_grid(new, stack, slides="S1", spacing=SPACING, encoder=mean_color, progress=False)


def without_mask(sdata):
    del sdata.labels["S1_full_image_tissue"]


def without_scale(sdata):
    take_spots_away(sdata)
    slide_info(sdata, "S1")["mpp"] = None


def with_a_tiny_mask(sdata):
    mask = np.zeros((HEIGHT // 4, WIDTH // 4), dtype=bool)
    mask[0, 0] = True
    del sdata.labels["S1_full_image_tissue"]
    add_mask(sdata, mask, image="S1_full_image")


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (None, {"slides": "S7"}, KeyError, r"no slide \['S7'\]"),
        (None, {"lattice": "cubic"}, ValueError, "lattice='cubic' is not one of"),
        (None, {"spacing": ("mm", 1.0)}, ValueError, "unit='mm'"),
        (None, {"spacing": ("um", -3.0)}, ValueError, "must be a positive length"),
        (None, {"block": 0}, ValueError, "block=0"),
        (None, {"executor": 0}, ValueError, "executor=0"),
        (None, {"level": 1.0}, ValueError, "level=1.0 must lie between"),
        (
            None,
            {"within": "tumor"},
            KeyError,
            r"within='tumor' is not 'tissue', 'image' or polygons .*\['S1', 'S2'\]",
        ),
        (None, {"within": "S1"}, ValueError, r"within='S1' holds \['Point'\]: want polygons"),
        (None, {"key_added": "a/b"}, ValueError, "try 'a_b'"),
        (without_mask, {}, KeyError, r"no tissue mask .*sh.pp.mask_background"),
        (without_scale, {}, ValueError, r"distance of spots is not known on slide 'S1'.*'pitch_px'"),
        (with_a_tiny_mask, {}, ValueError, "no spot .* lies on the tissue of slide 'S1'"),
    ],
)
def test_refused(finished, new, change, options, error, message):
    _, _, stack = finished
    if change:
        change(new)
    with pytest.raises(error, match=message):
        sh.tl.predict_grid(new, stack, **{"slides": "S1", "encoder": mean_color, "progress": False, **options})
    assert "S1_grid_table" not in new.tables
    assert "S1_grid" not in new.shapes


def test_an_image_the_model_needs_is_named(new, tmp_path):
    sdata = draw_cohort(1)
    for slide in ("S1", "S2"):
        sdata.images[f"{slide}_full_image_normalized"] = sdata.images[f"{slide}_full_image"]
    model = sh.tl.fit(
        sdata, models="ridge", genes=4, slides=["S1", "S2"], image="normalized", out=tmp_path / "m", **FAST
    )
    with pytest.raises(KeyError, match="make it with sh.pp.normalize_stain"):
        sh.tl.predict_grid(new, model, encoder=mean_color, progress=False)


def test_intervals_are_those_of_calibrate(finished, new):
    _, _, stack = finished
    options = {"slides": "S1", "spacing": SPACING, "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(new, stack, **options)
    bounds = {k: new["S1_grid_table"].layers[k].copy() for k in ("predicted_lower", "predicted_upper")}
    known = np.isfinite(bounds["predicted_upper"])
    assert known.any()
    assert (bounds["predicted_lower"] < bounds["predicted_upper"])[known].all()
    sh.tl.predict_grid(new, stack, level=None, **options)
    assert layer_names(new["S1_grid_table"]) == ["predicted"]
    sh.tl.calibrate(new, stack, table_key="S1_grid_table")
    for key, expected in bounds.items():
        np.testing.assert_array_equal(new["S1_grid_table"].layers[key], expected)


def test_no_intervals_where_too_few_groups_are_left(finished):
    """Of four groups three are left for a slide of the run, and a level of 0.8 needs four."""
    sdata, _, stack = finished
    options = {"slides": "S3", "spacing": SPACING, "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(sdata, stack, **options)
    assert layer_names(sdata["S3_grid_table"]) == ["predicted"]
    sh.tl.predict_grid(sdata, stack, level=0.7, **options)
    assert "predicted_upper" in sdata["S3_grid_table"].layers


def test_pixels_unlike_training_are_out_of_distribution(finished, new):
    """A stripe of one color, which no training slide has."""
    _, _, stack = finished
    pixels = np.asarray(new["S1_full_image"].data).copy()
    pixels[:, :, 200:] = np.array([0, 255, 0], dtype=np.uint8)[:, None, None]
    new["S1_full_image"].data = pixels
    sh.tl.predict_grid(new, stack, slides="S1", spacing=SPACING, encoder=mean_color, progress=False)
    table = new["S1_grid_table"]
    x, score = table.obsm["spatial"][:, 0], table.obs["out_of_distribution"]
    assert score[x > 225].min() == 1
    assert score[x < 175].mean() < 0.75
    assert table.uns["spatialhist"]["out_of_distribution"]["fitted_on"] == ["S1", "S2", "S3", "S4"]


def test_the_score_is_that_of_predict(finished, new):
    _, _, stack = finished
    sh.tl.predict(new, stack, slides="S2", encoder=mean_color, progress=False)
    column = new["table"].obs["out_of_distribution"]
    of_slide = (new["table"].obs["region"] == "S2").to_numpy()
    assert column[~of_slide].isna().all()
    sh.tl.predict_grid(new, stack, slides="S2", spacing=SPACING, lattice="square", encoder=mean_color, progress=False)
    rows, spots = shared_spots(new["S2_grid_table"])
    score = new["S2_grid_table"].obs["out_of_distribution"].to_numpy()[rows]
    np.testing.assert_allclose(score, column[of_slide].to_numpy()[spots], atol=0.02)


@pytest.mark.parametrize("within", ["image", "tumor"])
def test_spots_elsewhere_than_on_tissue(finished, new, within):
    """Polygons lie in the slide's coordinates, which here are twice as fine as the image."""
    _, _, stack = finished
    add_mask(new, np.eye(HEIGHT // 4, WIDTH // 4, dtype=bool), image="S1_full_image")
    for element in (new["S1_full_image"], new["S1_full_image_tissue"]):
        placed = get_transformation(element, "S1")
        set_transformation(element, Sequence([placed, Scale([2.0, 2.0], axes=("x", "y"))]), "S1")
    region = gpd.GeoDataFrame(geometry=[shapely.box(100, 0, 200, 120), shapely.box(400, 300, 480, 380)])
    new.shapes["tumor"] = ShapesModel.parse(region, transformations={"S1": Identity()})
    options = {"slides": "S1", "spacing": ("px", 20.0), "lattice": "square", "progress": False}
    sh.tl.predict_grid(new, stack, within=within, encoder=mean_color, **options)
    x, y = new[f"S1_grid_{within}_table"].obsm["spatial"].T
    if within == "image":
        assert len(x) == (WIDTH // 10) * (HEIGHT // 10)
        return
    assert len(x) == 5 * 6 + 4 * 4
    assert ((x > 100) & (x < 200) & (y < 120) | (x > 400) & (x < 480) & (y > 300) & (y < 380)).all()


def test_networks_on_pixels_are_applied_block_by_block(new, tmp_path):
    network = sh.tl.TileNetwork(epochs=1, width=8)
    model = sh.tl.fit(draw_cohort(1, n_slides=2), models=network, genes=3, out=tmp_path / "m", **FAST)
    sh.tl.predict(new, model, slides="S1", encoder=mean_color, progress=False)
    sh.tl.predict_grid(
        new, model, slides="S1", spacing=SPACING, lattice="square", encoder=mean_color, block=9, progress=False
    )
    rows, spots = shared_spots(new["S1_grid_table"])
    expected = new["table"].to_df("predicted")[model.genes].to_numpy()[spots]
    np.testing.assert_allclose(new["S1_grid_table"].layers["predicted"][rows], expected, rtol=1e-3, atol=1e-4)


def test_the_manifest_says_how_large_training_spots_were(finished):
    _, cv, _ = finished
    stored = json.loads((cv.folder / "manifest.json").read_text())["slides"]["S2"]
    assert stored["mpp"] == 2
    assert stored["pitch_px"] == 20
    assert stored["spot_diameter_px"] == pytest.approx(11)


def test_spots_within_a_region_stand_beside_those_of_the_tissue(finished, new):
    _, _, stack = finished
    options = {"slides": "S1", "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(new, stack, **options)
    whole = new["S1_grid_table"].layers["predicted"].copy()
    region = gpd.GeoDataFrame(geometry=[shapely.box(20, 10, 90, 70)])
    new.shapes["my.roi"] = ShapesModel.parse(region, transformations={"S1": Identity()})
    sh.tl.predict_grid(new, stack, within="my.roi", key_added="roi", **options)
    np.testing.assert_array_equal(new["S1_grid_table"].layers["predicted"], whole)
    assert 0 < len(new["S1_grid_my.roi_table"]) < len(whole)
    assert set(new["S1_grid_my.roi_table"].obs["region"]) == {"S1_grid_my.roi"} <= set(new.shapes)
    sh.tl.to_image(new, stack.genes[:1], slide="S1", layer="roi")
    roi, tissue = (
        np.isfinite(np.asarray(new[k]["scale0"]["image"].data)).mean() for k in ("S1_roi_map", _map(new, stack))
    )
    assert 0 < roi < tissue


def _map(sdata, stack):
    sh.tl.to_image(sdata, stack.genes[:1], slide="S1")
    return "S1_predicted_map"


def test_the_same_spots_keep_their_other_layers_and_other_spots_are_told_of(finished, new, recwarn):
    _, _, stack = finished
    options = {"slides": "S1", "encoder": mean_color, "progress": False}
    sh.tl.predict_grid(new, stack, level=None, **options)
    sh.tl.predict_grid(new, stack, level=None, key_added="second", **options)
    table = new["S1_grid_table"]
    np.testing.assert_array_equal(table.layers["predicted"], table.layers["second"])
    assert not [w for w in recwarn if "is replaced" in str(w.message)]
    with pytest.warns(
        UserWarning, match=r"'S1_grid_table' is replaced .* with it go its layers \['predicted', 'second'\]"
    ):
        sh.tl.predict_grid(new, stack, level=None, spacing=("pitch", 2.0), **options)
    assert len(new["S1_grid_table"]) < len(table)
