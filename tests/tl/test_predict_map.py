from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import spatialdata as sd
from small_cohorts import HEIGHT, WIDTH, draw_cohort, mean_color
from spatialdata.transformations import Scale as Scaling
from spatialdata.transformations import get_transformation, set_transformation

import spatialhist as sh
from spatialhist._sdata.images import add_mask
from spatialhist._sdata.scale import slide_info
from spatialhist.tl import _predict_map
from spatialhist.tl._inference import raster
from spatialhist.tl._inference.blocks import Block

OPTIONS = {"slide": "S2", "resolution": ("px", 4.0), "encoder": mean_color, "progress": False}
KEY = "S2_predicted_map"


@pytest.fixture
def new():
    """Two slides that no run has seen; on the second the upper left is glass."""
    sdata = draw_cohort(5, n_slides=2, signal=0.8, images_seed=9)
    mask = np.ones((HEIGHT // 4, WIDTH // 4), dtype=bool)
    mask[:20, :40] = False
    add_mask(sdata, mask, image="S2_full_image")
    return sdata


def pixels(sdata, key=KEY, level=0):
    return sdata[key][f"scale{level}"]["image"].values


def test_a_pixel_has_what_predict_says_of_a_spot_at_its_center(finished, new):
    _, cv, stack = finished
    # centers of pixels lie at odd places: (x + .5) * 8 is on the lattice of spots for every fifth of them
    sh.tl.predict_map(new, stack, **{**OPTIONS, "resolution": ("px", 8.0)})
    sh.tl.predict(new, stack, encoder=mean_color, progress=False)
    table = new["table"][new["table"].obs["region"] == "S2"]
    values, found = pixels(new), 0
    for (x, y), expected in zip(table.obsm["spatial"], table.to_df("predicted")[cv.genes].to_numpy(), strict=True):
        column, row = x / 8 - 0.5, y / 8 - 0.5
        if column % 1 or row % 1 or np.isnan(values[0, int(row), int(column)]):
            continue
        np.testing.assert_allclose(values[:-1, int(row), int(column)], expected, rtol=1e-4, atol=1e-5)
        found += 1
    assert found > 10


def test_what_is_added(finished, new):
    _, cv, stack = finished
    set_transformation(new.images["S2_full_image"], Scaling([3.0, 3.0], axes=("x", "y")), "mm")
    sh.tl.predict_map(new, stack, genes=cv.genes[2:4], **OPTIONS)
    image = new[KEY]["scale0"]["image"]
    assert image.dims == ("c", "y", "x")
    assert list(image.coords["c"].values) == [*cv.genes[2:4], "out_of_distribution"]
    assert image.shape == (3, HEIGHT // 4, WIDTH // 4)
    assert image.dtype == np.float32
    glass = np.zeros(image.shape[1:], dtype=bool)
    glass[:20, :40] = True
    np.testing.assert_array_equal(np.isnan(image.values).all(axis=0), glass)
    np.testing.assert_array_equal(np.isnan(image.values).any(axis=0), glass)
    assert ((image.values[-1][~glass] >= 0) & (image.values[-1][~glass] <= 1)).all()
    for system, factor in (("S2", 4.0), ("mm", 12.0)):
        placed = get_transformation(new[KEY], system).to_affine_matrix(("x", "y"), ("x", "y"))
        np.testing.assert_allclose(placed, np.diag([factor, factor, 1.0]))
    made = slide_info(new, "S2")["maps"][KEY]
    assert (made["step"], made["slide"], made["resolution_px"]) == ("predict_map", "S2", 4.0)
    assert made["predicted_as"][0].startswith("new slide")
    assert made["fitted_on"] == ["S1", "S2", "S3", "S4"]


def test_genes_that_are_asked_for_are_those_of_all(finished, new):
    _, cv, stack = finished
    sh.tl.predict_map(new, stack, **OPTIONS)
    every = pixels(new)
    sh.tl.predict_map(new, stack, genes=[cv.genes[5], cv.genes[1]], key_added="two", **OPTIONS)
    np.testing.assert_array_equal(pixels(new, "two"), every[[5, 1, -1]])


def test_a_coarser_level_averages_what_is_known(finished, new):
    _, _, stack = finished
    sh.tl.predict_map(new, stack, **OPTIONS)
    fine, coarse = pixels(new), pixels(new, level=1)
    np.testing.assert_allclose(coarse[:, 10, 20], np.nanmean(fine[:, 20:22, 40:42], axis=(1, 2)), rtol=1e-6)
    assert np.isnan(coarse[:, :10, :20]).all()


def test_executor_squares_and_store_do_not_change_a_byte(finished, new, tmp_path, monkeypatch):
    _, _, stack = finished
    new.write(tmp_path / "new.zarr")
    sh.tl.predict_map(new, stack, key_added="stored", **OPTIONS)
    stored = sd.read_zarr(tmp_path / "new.zarr")
    memory = draw_cohort(5, n_slides=2, signal=0.8, images_seed=9)
    memory.labels["S2_full_image_tissue"] = new.labels["S2_full_image_tissue"]
    with ThreadPoolExecutor(2) as pool:
        sh.tl.predict_map(memory, stack, key_added="pool", executor=pool, **OPTIONS)
    monkeypatch.setattr(raster, "MAX_SIDE", 32)
    sh.tl.predict_map(memory, stack, key_added="small", **OPTIONS)
    for level in range(len(stored["stored"])):
        expected = pixels(stored, "stored", level).tobytes()
        assert pixels(memory, "pool", level).tobytes() == expected
        assert pixels(memory, "small", level).tobytes() == expected


def test_an_interrupted_call_goes_on_where_it_stopped(finished, new, tmp_path, monkeypatch):
    _, _, stack = finished
    monkeypatch.setattr(raster, "MAX_SIDE", 32)
    new.write(tmp_path / "new.zarr")
    sh.tl.predict_map(new, stack, key_added="whole", **OPTIONS)
    predict, done = Block.predict_parts, []

    def stops(self, points, position, parts):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(points))
        return predict(self, points, position, parts)

    with monkeypatch.context() as patched:
        patched.setattr(Block, "predict_parts", stops)
        with pytest.raises(KeyboardInterrupt):
            sh.tl.predict_map(new, stack, **OPTIONS)
    # what is not finished is no part of the object, nor seen in its store
    assert KEY not in new and KEY not in sd.read_zarr(tmp_path / "new.zarr")
    left = []
    monkeypatch.setattr(Block, "predict_parts", lambda self, *task: left.append(0) or predict(self, *task))
    sh.tl.predict_map(new, stack, **OPTIONS)
    squares = -(-HEIGHT // 4 // 32) * -(-WIDTH // 4 // 32)
    assert len(left) == squares - 2
    assert pixels(new).tobytes() == pixels(new, "whole").tobytes()
    assert not list((tmp_path / "new.zarr" / ".spatialhist" / "maps").iterdir())


def test_only_the_map_is_saved(finished, new, tmp_path):
    _, _, stack = finished
    new.write(tmp_path / "new.zarr")
    new["table"].layers["mine"] = new["table"].X.copy()
    sh.tl.predict_map(new, stack, **OPTIONS)
    stored = sh.io.read(tmp_path / "new.zarr")
    assert "mine" not in stored["table"].layers and "mine" in new["table"].layers
    assert slide_info(stored, "S2")["maps"][KEY]["run_id"] == stack.run_id
    sh.io.save(new)
    assert "mine" in sh.io.read(tmp_path / "new.zarr")["table"].layers


def test_a_slide_of_the_run_is_predicted_by_the_fold_that_left_it_out(finished):
    _, cv, stack = finished
    sdata = draw_cohort(1, signal=0.8)
    sh.tl.predict_map(sdata, stack, **{**OPTIONS, "slide": "S3", "resolution": ("px", 8.0)})
    sh.tl.predict_grid(
        sdata, stack, slides="S3", spacing=("px", 8.0), lattice="square", encoder=mean_color, progress=False
    )
    values = pixels(sdata, "S3_predicted_map")[:-1].reshape(len(cv.genes), -1).T
    np.testing.assert_allclose(values, sdata["S3_grid_table"].layers["predicted"], rtol=1e-4, atol=1e-5)
    made = slide_info(sdata, "S3")["maps"]["S3_predicted_map"]
    assert made["predicted_as"] == sdata["S3_grid_table"].uns["spatialhist"]["predicted"]["predicted_as"]


def test_many_genes_make_small_squares():
    assert raster.square_side(1) == raster.square_side(2_000) == 128
    assert raster.square_side(20_000) == 32
    assert raster.square_side(9_000) == 64


def test_a_map_that_memory_cannot_hold_is_refused(finished, new, monkeypatch):
    _, _, stack = finished
    monkeypatch.setattr(_predict_map, "check_map_size", partial(_predict_map.check_map_size, max_gb=1e-4))
    with pytest.raises(MemoryError, match=r"65 x 50 pixels and \d+ channels needs 0.0 GB.*sdata.write\(path\)"):
        sh.tl.predict_map(new, stack, **OPTIONS)
    assert KEY not in new
