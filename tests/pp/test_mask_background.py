from __future__ import annotations

import logging

import numpy as np
import pytest

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import pyramid, read_level, tissue_mask
from spatialhist._sdata.layers import recorded

WIDTH, HEIGHT = 700, 520
BLOCK = (slice(150, 350), slice(100, 440))


def stained(seed=0, *, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 240.0) + rng.normal(0, 1, (height, width, 3))
    rows, columns = BLOCK
    shape = (rows.stop - rows.start, columns.stop - columns.start, 1)
    image[BLOCK] = np.array([165, 115, 170]) + 25 * rng.normal(0, 1, shape)
    return np.moveaxis(np.clip(image, 0, 255).astype(np.uint8), -1, 0)


def one(slide, image):
    xy = np.stack(np.meshgrid(np.arange(100, 440, 30), np.arange(150, 350, 30)), -1).reshape(-1, 2).astype(float)
    return build_slide(image, xy, np.ones((len(xy), 2), np.float32), slide=slide, genes=["a", "b"], mpp=4.0)


@pytest.fixture
def sdata():
    return concat_slides([one("S1", stained(0)), one("S2", stained(1))])


def test_adds_mask_and_filled_image(sdata, caplog):
    with caplog.at_level(logging.INFO):
        assert sh.pp.mask_background(sdata) is None
    assert "added tissue masks" in caplog.text
    mask, factors = tissue_mask(sdata, "S1")
    rows, columns = BLOCK
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[BLOCK] = True
    assert mask.shape == (HEIGHT, WIDTH) and factors == (1.0, 1.0)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.93
    filled, image = (pyramid(sdata, k) for k in ("S1_full_image_masked", "S1_full_image"))
    assert [a.shape for a in filled.levels] == [a.shape for a in image.levels]
    expected = np.where(mask[..., None], read_level(image, 0), 255)
    np.testing.assert_array_equal(read_level(filled, 0), expected)
    assert recorded(sdata["table"], "tissue")["slides"]["S2"]["method"] == "density"


def test_twice_is_the_same(sdata):
    sh.pp.mask_background(sdata)
    first = np.asarray(sdata.labels["S1_full_image_tissue"])
    sh.pp.mask_background(sdata)
    np.testing.assert_array_equal(np.asarray(sdata.labels["S1_full_image_tissue"]), first)


def test_one_slide_without_filling(sdata):
    sh.pp.mask_background(sdata, slides="S2", fill=False)
    assert list(sdata.labels) == ["S2_full_image_tissue"]
    assert "S2_full_image_masked" not in sdata.images


def test_from_a_store(sdata, tmp_path):
    import spatialdata as sd

    sdata.write(tmp_path / "a.zarr")
    stored = sd.read_zarr(tmp_path / "a.zarr")
    sh.pp.mask_background(stored)
    sh.pp.mask_background(sdata)
    np.testing.assert_array_equal(tissue_mask(stored, "S1")[0], tissue_mask(sdata, "S1")[0])
    stored.write(tmp_path / "b.zarr")
    again = sd.read_zarr(tmp_path / "b.zarr")
    np.testing.assert_array_equal(tissue_mask(again, "S2")[0], tissue_mask(sdata, "S2")[0])


@pytest.mark.parametrize("method", ["otsu", "felzenszwalb"])
def test_squidpy(sdata, method, recwarn):
    sh.pp.mask_background(sdata, slides="S1", method=method, fill=False)
    mask, _ = tissue_mask(sdata, "S1")
    assert mask[BLOCK].mean() > 0.9
    assert mask[:100].mean() < 0.05
    assert not [w for w in recwarn if w.category is not UserWarning]


def test_own_function(sdata):
    def dark(pixels):
        return pixels.mean(axis=-1) < 200

    sh.pp.mask_background(sdata, slides="S1", method=dark, fill=False)
    assert tissue_mask(sdata, "S1")[0][:100].sum() == 0
    assert recorded(sdata["table"], "tissue")["slides"]["S1"]["method"] == "dark"


@pytest.mark.parametrize(("value", "words"), [(250, "no tissue"), (None, "no background")])
def test_useless_mask_warns(value, words):
    image = stained()[:, 160:340, 110:430] if value is None else np.full((3, 90, 140), value, np.uint8)
    sdata = one("S9", image)
    with pytest.warns(UserWarning, match=f"'S9': {words}"):
        sh.pp.mask_background(sdata)


def test_errors_change_nothing(sdata):
    with pytest.raises(ValueError, match="method='otzu' is not one of"):
        sh.pp.mask_background(sdata, method="otzu")
    with pytest.raises(ValueError, match="fill_value=300"):
        sh.pp.mask_background(sdata, fill_value=300)
    with pytest.raises(ValueError, match="shape"):
        sh.pp.mask_background(sdata, method=lambda pixels: pixels)
    with pytest.raises(KeyError, match="no slide"):
        sh.pp.mask_background(sdata, slides="S7")
    assert not list(sdata.labels)
