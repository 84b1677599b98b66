from __future__ import annotations

import numpy as np
import pytest

import spatialhist as sh
from spatialhist._sdata.build import build_slide, concat_slides
from spatialhist._sdata.images import add_mask, pyramid, read_level
from spatialhist._sdata.layers import recorded
from spatialhist._sdata.scale import slide_info

HEIGHT, WIDTH = 520, 640
VECTORS = {"S1": ((0.65, 0.70, 0.29), (0.20, 0.92, 0.33)), "S2": ((0.58, 0.75, 0.32), (0.33, 0.85, 0.40))}


def tissue():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[100:400, 80:500] = True
    return mask


def one(slide, vectors, seed):
    rng = np.random.default_rng(seed)
    vectors = np.array([np.array(v) / np.linalg.norm(v) for v in vectors])
    amounts = np.kron(rng.gamma(2.0, 0.35, (HEIGHT // 4, WIDTH // 4, len(vectors))), np.ones((4, 4, 1)))
    image = 256 * np.exp(-(amounts * tissue()[..., None]) @ vectors) - 1
    image = np.moveaxis(np.clip(image, 0, 250).round().astype(np.uint8), -1, 0)
    xy = np.stack(np.meshgrid(np.arange(100, 480, 40), np.arange(120, 380, 40)), -1).reshape(-1, 2).astype(float)
    sdata = build_slide(image, xy, np.ones((len(xy), 2), np.float32), slide=slide, genes=["a", "b"], mpp=2.0)
    add_mask(sdata, tissue()[::2, ::2], image=f"{slide}_full_image")
    return sdata


@pytest.fixture
def sdata():
    return concat_slides([one(s, v, i) for i, (s, v) in enumerate(VECTORS.items())])


def pixels(sdata, key):
    return read_level(pyramid(sdata, key), 0)


@pytest.mark.parametrize("method", ["macenko", "vahadane", "reinhard"])
def test_equals_squidpy_within_a_gray_level(sdata, method):
    import spatialdata as sd
    import squidpy as sq
    from spatialdata.models import Labels2DModel
    from spatialdata.transformations import get_transformation

    sh.pp.normalize_stain(sdata, slides="S2", method=method, reference="S1")
    image = sdata.images["S2_full_image"]
    labels = Labels2DModel.parse(
        tissue().astype(np.uint8), dims=("y", "x"), transformations=get_transformation(image, get_all=True)
    )
    theirs = sd.SpatialData.init_from_elements({"S2_full_image": image, "S2_full_image_tissue": labels})
    fitted = sq.experimental.im.fit_stain_reference(
        sd.SpatialData.init_from_elements(
            {"S1_full_image": sdata.images["S1_full_image"], "S1_full_image_tissue": labels}
        ),
        "S1_full_image",
        method=method,
    )
    expected = sq.experimental.im.normalize_stains(theirs, "S2_full_image", fitted, inplace=False)
    got = pixels(sdata, "S2_full_image_normalized").astype(int)
    assert np.abs(got - np.moveaxis(expected.to_numpy(), 0, -1).astype(int)).max() <= 1
    assert np.abs(got - pixels(sdata, "S2_full_image")).max() > 5


def test_background_stays(sdata):
    sh.pp.normalize_stain(sdata)
    for slide in ("S1", "S2"):
        before, after = (pixels(sdata, f"{slide}_full_image{end}") for end in ("", "_normalized"))
        np.testing.assert_array_equal(after[~tissue()], before[~tissue()])
        assert pyramid(sdata, f"{slide}_full_image_normalized").levels[-1].shape == (3, 260, 320)


def test_brings_slides_together(sdata):
    def mean_hue(key):
        return np.log(pixels(sdata, key)[tissue()].astype(float) + 1).mean(axis=0)

    before = np.abs(mean_hue("S1_full_image") - mean_hue("S2_full_image")).max()
    sh.pp.normalize_stain(sdata)
    after = np.abs(mean_hue("S1_full_image_normalized") - mean_hue("S2_full_image_normalized")).max()
    assert after < before / 2


def test_twice_is_the_same_and_is_recorded(sdata):
    sh.pp.normalize_stain(sdata)
    first = pixels(sdata, "S1_full_image_normalized")
    sh.pp.normalize_stain(sdata)
    np.testing.assert_array_equal(pixels(sdata, "S1_full_image_normalized"), first)
    entry = recorded(sdata["table"], "stain")
    assert entry["fitted_on"] == []
    brief = {"method": "macenko", "reference": "canonical", "fitted_on": [], "applied": True}
    assert entry["slides"]["S2"] == {**brief, "images": {"S2_full_image_normalized": []}}
    assert np.shape(slide_info(sdata, "S1")["stain"]["source"]["stain_matrix"]) == (3, 3)


def test_references_record_what_they_saw(sdata, tmp_path):
    sh.pp.normalize_stain(sdata, reference="cohort")
    assert recorded(sdata["table"], "stain")["fitted_on"] == ["S1", "S2"]
    sh.pp.normalize_stain(sdata, reference="S2")
    assert recorded(sdata["table"], "stain")["fitted_on"] == ["S2"]
    by_name = pixels(sdata, "S1_full_image_normalized")
    reference = sh.pp.fit_stain_reference(sdata, slides="S2")
    reference.save(tmp_path / "s2.json")
    for given in (reference, tmp_path / "s2.json", str(tmp_path / "s2.json")):
        sh.pp.normalize_stain(sdata, slides="S1", reference=given)
        np.testing.assert_array_equal(pixels(sdata, "S1_full_image_normalized"), by_name)
        assert recorded(sdata["table"], "stain")["slides"]["S1"]["fitted_on"] == ["S2"]


def test_remembers_what_each_image_saw(sdata):
    sh.pp.normalize_stain(sdata, reference="cohort", key_added="{slide}_pooled")
    sh.pp.normalize_stain(sdata)
    images = recorded(sdata["table"], "stain")["slides"]["S1"]["images"]
    assert images == {"S1_pooled": ["S1", "S2"], "S1_full_image_normalized": []}


def test_masked_image_and_own_key(sdata):
    sh.pp.mask_background(sdata, method=lambda pixels: pixels.mean(axis=-1) < 245)
    sh.pp.normalize_stain(sdata, image="masked", key_added="{slide}_stained")
    assert (pixels(sdata, "S1_stained")[:90] == 255).all()


def white():
    image = np.full((3, HEIGHT, WIDTH), 255, np.uint8)
    sdata = build_slide(image, np.array([[9.0, 9], [20, 9]]), np.ones((2, 1)), slide="S7", genes=["a"])
    add_mask(sdata, tissue(), image="S7_full_image")
    return sdata


def one_stain():
    return one("S7", [VECTORS["S1"][0]], 0)


@pytest.mark.parametrize(
    ("make", "method"),
    [(white, "macenko"), (white, "vahadane"), (white, "reinhard"), (one_stain, "macenko"), (one_stain, "vahadane")],
)
def test_passes_through_what_cannot_be_fitted(make, method):
    sdata = make()
    with pytest.warns(UserWarning, match="'S7': stain left as it is"):
        sh.pp.normalize_stain(sdata, method=method)
    np.testing.assert_array_equal(pixels(sdata, "S7_full_image_normalized"), pixels(sdata, "S7_full_image"))
    assert recorded(sdata["table"], "stain")["slides"]["S7"]["applied"] is False


def test_store_keeps_it(sdata, tmp_path):
    import spatialdata as sd

    sh.pp.normalize_stain(sdata)
    expected = pixels(sdata, "S2_full_image_normalized")
    sdata.write(tmp_path / "a.zarr")
    stored = sd.read_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(pixels(stored, "S2_full_image_normalized"), expected)
    assert list(recorded(stored["table"], "stain")["fitted_on"]) == []


def test_errors_change_nothing(sdata):
    images = set(sdata.images)
    with pytest.raises(ValueError, match="method='makenko'"):
        sh.pp.normalize_stain(sdata, method="makenko")
    with pytest.raises(KeyError, match="no slide"):
        sh.pp.normalize_stain(sdata, reference="S9")
    with pytest.raises(ValueError, match="put {slide} into it"):
        sh.pp.normalize_stain(sdata, key_added="same")
    with pytest.raises(ValueError, match="pass method='reinhard'"):
        sh.pp.normalize_stain(sdata, reference=sh.pp.StainReference.canonical("reinhard"))
    del sdata.labels["S2_full_image_tissue"]
    with pytest.raises(KeyError, match="sh.pp.mask_background"):
        sh.pp.normalize_stain(sdata)
    assert set(sdata.images) == images
    assert recorded(sdata["table"], "stain") == {}
